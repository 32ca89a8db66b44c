//! What people's questions take of the language model.

pub mod prices;
