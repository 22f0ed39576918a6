"use strict";
// One trial's grids over its training: which trial is chosen, which rung is shown.
(() => {
  const choice = document.getElementById("film");
  if (!choice) return;
  const films = [...document.querySelectorAll(".film")];

  // An image that the page holds elsewhere is taken from there: each is in the file once.
  for (const place of document.querySelectorAll(".film [data-same]")) {
    const grid = document.getElementById(place.dataset.same);
    if (grid) {
      const copy = grid.cloneNode();
      copy.removeAttribute("id");
      place.replaceWith(copy);
    }
  }

  for (const film of films) {
    const frames = [...film.querySelectorAll(".frame")];
    const scrub = film.querySelector("input[type=range]");
    film.classList.add("live");
    if (!scrub) continue;
    scrub.addEventListener("input", () => {
      frames.forEach((frame, place) => frame.classList.toggle("current", place === scrub.valueAsNumber));
      const caption = frames[scrub.valueAsNumber].querySelector("figcaption span").textContent;
      scrub.setAttribute("aria-valuetext", `${frames[scrub.valueAsNumber].dataset.kimg}, ${caption}`);
    });
  }
  const show = () => films.forEach((film) => { film.hidden = film.dataset.film !== choice.value; });
  choice.addEventListener("change", show);
  show(); // a browser may keep a choice when the page is loaded again
})();
