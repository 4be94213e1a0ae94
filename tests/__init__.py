"""Tests of the packages; each folder mirrors one of them."""
