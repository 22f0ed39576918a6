from transgan.seeds import derived_seed


def test_no_two_purposes_or_indices_share_a_seed():
    seeds = {
        derived_seed(seed, purpose, index)
        for seed in range(7)
        for purpose in ("step", "epoch", "latent")
        for index in range(101)
    }
    assert len(seeds) == 7 * 3 * 101


def test_seeds_fill_all_the_bits_that_the_generator_takes_in():
    seeds = [derived_seed(0, "step", index) for index in range(997)]
    assert max(seeds) > 2**31
    assert all(0 <= seed < 2**32 for seed in seeds)
