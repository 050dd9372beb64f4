//! Seeded generators, naive oracles and failing doubles for the tests. Never ships.
