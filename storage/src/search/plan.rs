//! How the vector list is found: chosen from what the reader may read, before anything is looked at.

use std::fmt;

/// Where one way of searching gives way to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorSettings {
    /// Up to this many public passages the signs of all that is readable are compared; above, the
    /// graph is asked for the public ones.
    pub signs_up_to: u64,
    /// Up to this many passages in the documents that a search is narrowed to, all their vectors are
    /// compared; above, their signs. Signs begin to be quicker at some 1,500, and vectors are exact.
    pub compared_in_documents: u64,
}

impl Default for VectorSettings {
    fn default() -> Self {
        Self {
            signs_up_to: 12_000,
            compared_in_documents: 2_000,
        }
    }
}

/// Fewest and most passages whose distances are computed after their signs were compared.
const CANDIDATES: (u64, u64) = (400, 1_000);
/// Readable passages for each such candidate, between the two bounds.
const PASSAGES_PER_CANDIDATE: u64 = 25;
/// The same in memory, where a vector costs a hundredth.
const CANDIDATES_IN_MEMORY: (u64, u64) = (300, 4_000);

/// Fewest and most passages in a row that bring nothing near before a walk through the graph has arrived. It always has
/// after the fewest where the question is about what the library is about.
const PATIENCE: (u64, u64) = (100, 2_000);
/// Public passages for each of them, between the two bounds: where a question lies far from everything, as large a share of
/// any library lies about as far.
const PASSAGES_PER_PATIENCE: u64 = 500;

/// What the reader may read, in passages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadablePassages {
    /// Public ones.
    pub public: u64,
    /// Private ones of the reader, of the reader's teachers, and for an admin of everybody.
    pub private: u64,
}

/// How the vector list is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorPlan {
    /// There is nothing to search.
    Nothing,
    /// All vectors are in memory: the signs of every one are compared, and the vectors of the nearest.
    Memory {
        /// Vectors compared.
        candidates: u32,
    },
    /// Every vector is compared in the documents that the search is narrowed to. Exact.
    Documents,
    /// The signs of every vector are compared in the documents that the search is narrowed to, and the
    /// vectors of the nearest.
    SignsInDocuments {
        /// Vectors compared.
        candidates: u32,
    },
    /// Every readable vector is compared. Exact.
    Exact {
        /// How many there are.
        readable: u32,
    },
    /// The signs of every readable vector are compared, and the vectors of the nearest.
    Signs {
        /// Vectors compared.
        candidates: u32,
    },
    /// A walk through the graph answers for the public passages, and the signs do for the private ones.
    Graph {
        /// Passages in a row that bring nothing near before the walk has arrived.
        patience: u16,
        /// Vectors of private passages compared.
        private_candidates: u32,
    },
}

impl VectorPlan {
    /// Chooses for a search of everything that is readable.
    #[must_use]
    pub fn choose(readable: ReadablePassages, settings: &VectorSettings) -> Self {
        let all = readable.public + readable.private;
        if all == 0 {
            Self::Nothing
        } else if readable.public > settings.signs_up_to {
            Self::Graph {
                patience: patience(readable.public),
                private_candidates: candidates(readable.private),
            }
        } else if all <= candidates(all).into() {
            Self::Exact {
                readable: all as u32,
            }
        } else {
            Self::Signs {
                candidates: candidates(all),
            }
        }
    }

    /// The plan for a search of everything that is readable, whose vectors are in memory.
    #[must_use]
    pub fn in_memory(readable: ReadablePassages) -> Self {
        let (fewest, most) = CANDIDATES_IN_MEMORY;
        match readable.public + readable.private {
            0 => Self::Nothing,
            all => Self::Memory {
                candidates: (all / PASSAGES_PER_CANDIDATE).clamp(fewest, most) as u32,
            },
        }
    }

    /// Chooses for a search that is narrowed to documents with so many passages. The graph is of no use
    /// there: it walks among the nearest of everything, which may all be in other documents.
    #[must_use]
    pub fn within_documents(passages: u64, settings: &VectorSettings) -> Self {
        if passages == 0 {
            Self::Nothing
        } else if passages <= settings.compared_in_documents {
            Self::Documents
        } else {
            Self::SignsInDocuments {
                candidates: candidates(passages),
            }
        }
    }

    /// Its name, for logs and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Memory { .. } => "memory",
            Self::Documents => "documents",
            Self::SignsInDocuments { .. } => "signs in documents",
            Self::Exact { .. } => "exact",
            Self::Signs { .. } => "signs",
            Self::Graph { .. } => "graph",
        }
    }

    /// Why it was chosen, in a sentence.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Nothing => "the reader may read no passage, or none that the filters let through",
            Self::Memory { .. } => "the vectors of all that is readable are in memory",
            Self::Documents => "the search is narrowed to documents, and they are few",
            Self::SignsInDocuments { .. } => {
                "the search is narrowed to documents, and they are many"
            }
            Self::Exact { .. } => "so little is readable that every vector is compared",
            Self::Signs { .. } => {
                "comparing the signs of all that is readable is quick and loses nothing"
            }
            Self::Graph { .. } => {
                "much of the library is public, and a walk through its graph is quick and goes on until it has arrived"
            }
        }
    }
}

/// How many of so many passages have their vectors compared after their signs.
fn candidates(passages: u64) -> u32 {
    let wanted = passages / PASSAGES_PER_CANDIDATE;
    wanted.clamp(CANDIDATES.0, CANDIDATES.1) as u32
}

/// How long a walk through the graph of so many public passages goes on in vain.
#[must_use]
pub fn patience(public: u64) -> u16 {
    let (fewest, most) = PATIENCE;
    (public / PASSAGES_PER_PATIENCE).clamp(fewest, most) as u16
}

impl fmt::Display for VectorPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Memory { candidates }
            | Self::Signs { candidates }
            | Self::SignsInDocuments { candidates } => {
                write!(f, " ({candidates} compared)")
            }
            Self::Exact { readable } => write!(f, " ({readable} compared)"),
            Self::Graph { patience, .. } => write!(f, " (patience {patience})"),
            Self::Nothing | Self::Documents => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(public: u64, private: u64) -> VectorPlan {
        VectorPlan::choose(
            ReadablePassages { public, private },
            &VectorSettings::default(),
        )
    }

    #[test]
    fn the_plan_follows_from_what_is_readable() {
        assert_eq!(chosen(0, 0), VectorPlan::Nothing);
        assert_eq!(chosen(30, 10), VectorPlan::Exact { readable: 40 });
        assert_eq!(chosen(0, 400), VectorPlan::Exact { readable: 400 });
        assert_eq!(chosen(0, 401), VectorPlan::Signs { candidates: 400 });
        assert_eq!(chosen(4_000, 4_000), VectorPlan::Signs { candidates: 400 });
        let graph = |patience, private_candidates| VectorPlan::Graph {
            patience,
            private_candidates,
        };
        assert_eq!(chosen(12_001, 0), graph(100, 400));
        assert_eq!(chosen(15_000, 20_000), graph(100, 800));
        assert_eq!(chosen(200_000, 600), graph(400, 400));
        assert_eq!(chosen(5_000_000, 600), graph(2_000, 400));
    }

    #[test]
    fn many_documents_are_searched_by_signs_and_few_to_the_last_vector() {
        let chosen = |passages| VectorPlan::within_documents(passages, &VectorSettings::default());
        assert_eq!(chosen(0), VectorPlan::Nothing);
        assert_eq!(chosen(2_000), VectorPlan::Documents);
        let signs = |candidates| VectorPlan::SignsInDocuments { candidates };
        assert_eq!(chosen(2_001), signs(400));
        assert_eq!(chosen(90_000), signs(1_000));
    }

    #[test]
    fn a_private_library_is_searched_by_signs_however_large() {
        let plan = VectorPlan::Signs { candidates: 1_000 };
        assert_eq!(chosen(12_000, 13_000), plan);
        assert_eq!(chosen(0, 400_000), plan);
    }
}
