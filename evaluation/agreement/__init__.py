"""The ladder of agreement: our numbers held against those of others, rung by rung.

Each rung takes the code that it holds to account as an argument, so that a broken one can be seen
to fail. What others' libraries are needed for is not run where they are not installed, and says so.
"""
