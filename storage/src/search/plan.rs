//! How the vector list is found: chosen from what the reader may read, before anything is looked at.

use std::fmt;

/// Where one way of searching gives way to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorSettings {
    /// Up to this many public passages the signs of all that is readable are compared; above, the
    /// graph is asked for the public ones.
    pub signs_up_to: u64,
    /// Up to this many public passages the graph is looked into once, thoroughly; above, briefly
    /// first, which most questions are answered by.
    pub one_look_up_to: u64,
    /// Up to this many public passages a thorough look follows where brief ones disagree; above, the
    /// signs of all that is readable are compared.
    pub thorough_up_to: u64,
    /// Of the [`FIRST_LOOK`] nearest that the first brief look into the graph finds, how many the
    /// second must find as well for both to be believed.
    pub agreement: usize,
    /// Up to this many passages in the documents that a search is narrowed to, all their vectors are
    /// compared; above, their signs. Signs begin to be quicker at some 1,500, and vectors are exact.
    pub compared_in_documents: u64,
}

impl Default for VectorSettings {
    fn default() -> Self {
        Self {
            signs_up_to: 4_000,
            one_look_up_to: 15_000,
            thorough_up_to: 90_000,
            agreement: 59,
            compared_in_documents: 2_000,
        }
    }
}

/// How deep the first brief look into the graph goes: the limit in `graph_first_look.sql`.
pub const FIRST_LOOK: usize = 60;
/// The most that pgvector takes for `hnsw.ef_search`.
const MAX_EF_SEARCH: u64 = 1_000;

/// Fewest and most passages whose distances are computed after their signs were compared.
const CANDIDATES: (u64, u64) = (400, 1_000);
/// Readable passages for each such candidate, between the two bounds.
const PASSAGES_PER_CANDIDATE: u64 = 25;

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
    /// The graph is looked into once, thoroughly, for the public passages; the signs do for the private
    /// ones.
    Graph {
        /// How far the look goes: `hnsw.ef_search`.
        ef_search: u32,
        /// Vectors of private passages compared.
        private_candidates: u32,
    },
    /// Two brief looks into the graph answer for the public passages, where they agree; the signs do
    /// for the private ones. Where they do not, the question lies far from most of the library, and
    /// [`VectorPlan::after_brief_looks`] follows.
    BriefGraph {
        /// Vectors of private passages compared.
        private_candidates: u32,
    },
    /// The brief looks did not agree, and the library is too large for a thorough one: the signs of
    /// every readable vector are compared.
    SignsAfterGraph {
        /// Vectors compared.
        candidates: u32,
    },
}

impl VectorPlan {
    /// Chooses for a search of everything that is readable.
    #[must_use]
    pub fn choose(readable: ReadablePassages, settings: &VectorSettings) -> Self {
        let all = readable.public + readable.private;
        if all == 0 {
            Self::Nothing
        } else if readable.public > settings.one_look_up_to {
            Self::BriefGraph {
                private_candidates: candidates(readable.private),
            }
        } else if readable.public > settings.signs_up_to {
            Self::thorough(readable)
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

    /// What follows where brief looks do not agree.
    #[must_use]
    pub fn after_brief_looks(readable: ReadablePassages, settings: &VectorSettings) -> Self {
        if readable.public <= settings.thorough_up_to {
            Self::thorough(readable)
        } else {
            // As many as ever: the nearest lie far away, nearly equally so, and their signs tell less.
            Self::SignsAfterGraph {
                candidates: CANDIDATES.1 as u32,
            }
        }
    }

    /// A look that grows with the graph, by a hundredth of it: it finds 99 % of the nearest to a question
    /// that all of the library is far from.
    fn thorough(readable: ReadablePassages) -> Self {
        let ef_search = 100 + readable.public / 100;
        Self::Graph {
            ef_search: ef_search.min(MAX_EF_SEARCH) as u32,
            private_candidates: candidates(readable.private),
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
            Self::Documents => "documents",
            Self::SignsInDocuments { .. } => "signs in documents",
            Self::Exact { .. } => "exact",
            Self::Signs { .. } => "signs",
            Self::Graph { .. } => "graph",
            Self::BriefGraph { .. } => "brief graph",
            Self::SignsAfterGraph { .. } => "signs after graph",
        }
    }

    /// Why it was chosen, in a sentence.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Nothing => "the reader may read no passage, or none that the filters let through",
            Self::Documents => "the search is narrowed to documents, and they are few",
            Self::SignsInDocuments { .. } => {
                "the search is narrowed to documents, and they are many"
            }
            Self::Exact { .. } => "so little is readable that every vector is compared",
            Self::Signs { .. } => {
                "comparing the signs of all that is readable is quick and loses nothing"
            }
            Self::Graph { .. } => {
                "much of the library is public, and a thorough look into its graph loses nothing"
            }
            Self::BriefGraph { .. } => {
                "most of a large library is public, and two brief looks into its graph agreed"
            }
            Self::SignsAfterGraph { .. } => {
                "two brief looks into the graph disagreed: the question lies far from most of the \
                 library, which is too large for a thorough one"
            }
        }
    }
}

/// How many of so many passages have their vectors compared after their signs.
fn candidates(passages: u64) -> u32 {
    let wanted = passages / PASSAGES_PER_CANDIDATE;
    wanted.clamp(CANDIDATES.0, CANDIDATES.1) as u32
}

impl fmt::Display for VectorPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Signs { candidates }
            | Self::SignsAfterGraph { candidates }
            | Self::SignsInDocuments { candidates } => {
                write!(f, " ({candidates} compared)")
            }
            Self::Exact { readable } => write!(f, " ({readable} compared)"),
            Self::Graph { ef_search, .. } => write!(f, " (ef_search {ef_search})"),
            Self::Nothing | Self::Documents | Self::BriefGraph { .. } => Ok(()),
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
        let graph = |ef_search, private_candidates| VectorPlan::Graph {
            ef_search,
            private_candidates,
        };
        assert_eq!(chosen(4_001, 0), graph(140, 400));
        assert_eq!(chosen(15_000, 20_000), graph(250, 800));
        let brief = VectorPlan::BriefGraph {
            private_candidates: 400,
        };
        assert_eq!(chosen(15_001, 600), brief);
        assert_eq!(chosen(1_000_000, 600), brief);
    }

    #[test]
    fn a_thorough_look_grows_with_the_graph_until_signs_are_compared_instead() {
        let after = |public| {
            let private = 600;
            let readable = ReadablePassages { public, private };
            VectorPlan::after_brief_looks(readable, &VectorSettings::default())
        };
        let graph = |ef_search| VectorPlan::Graph {
            ef_search,
            private_candidates: 400,
        };
        assert_eq!(after(70_000), graph(800));
        assert_eq!(after(90_000), graph(1_000));
        assert_eq!(
            after(90_001),
            VectorPlan::SignsAfterGraph { candidates: 1_000 }
        );
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
        assert_eq!(chosen(4_000, 21_000), plan);
        assert_eq!(chosen(0, 400_000), plan);
    }
}
