//! The scope version: a digest of everything that a person may read at a moment.

use sha2::{Digest, Sha256};
use shared_types::{claims::Role, ids::UserId, origin::ScopeVersion, purge::Purges};

/// What the digest is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeFacts {
    /// The person's role.
    pub role: Role,
    /// Every owner whose private documents the person may read (the person, too), with the
    /// version of that owner's private corpus. Order does not matter.
    pub owners: Vec<(UserId, i64)>,
    /// The version of the public corpus.
    pub public_version: i64,
    /// The purges that concern the person.
    pub purges: Purges,
    /// The number of the last purge of anybody's corpus. Whoever may read nothing private of that owner may
    /// have been shown something public.
    pub corpora_purged: u64,
}

/// Two people share a scope version only where they may read the very same things; any change of
/// content, visibility or relationship makes a new one, and so does a purge of what they may be shown, single
/// answers apart.
#[must_use]
pub fn scope_version(facts: &ScopeFacts) -> ScopeVersion {
    let mut owners = facts.owners.clone();
    owners.sort_unstable();
    owners.dedup();
    let mut hash = Sha256::new();
    hash.update(b"scope:v2\0");
    hash.update(facts.role.as_str().as_bytes());
    hash.update(b"\0");
    hash.update(facts.public_version.to_le_bytes());
    // The numbers of purges only grow: the last one tells whether there was another.
    let purged = facts.purges.reader.max(facts.corpora_purged);
    hash.update(purged.to_le_bytes());
    for (owner, version) in owners {
        hash.update(owner.0.as_bytes());
        hash.update(version.to_le_bytes());
    }
    ScopeVersion {
        scope_version: hex::encode(hash.finalize()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn facts(owners: Vec<(u128, i64)>, public_version: i64) -> ScopeFacts {
        let owners = owners
            .into_iter()
            .map(|(id, v)| (UserId(Uuid::from_u128(id)), v))
            .collect();
        ScopeFacts {
            role: Role::Student,
            owners,
            public_version,
            purges: Purges::default(),
            corpora_purged: 0,
        }
    }

    #[test]
    fn a_purge_makes_a_new_version_and_one_of_a_single_answer_does_not() {
        let none = facts(vec![(1, 1)], 3);
        let with = |change: fn(&mut ScopeFacts)| {
            let mut facts = none.clone();
            change(&mut facts);
            scope_version(&facts)
        };
        let before = scope_version(&none);
        let of_reader = with(|facts| facts.purges.reader = 7);
        let of_corpus = with(|facts| facts.corpora_purged = 8);
        assert_ne!(of_reader, before);
        assert_ne!(of_corpus, before);
        assert_ne!(of_corpus, of_reader);
        let both = with(|facts| {
            facts.purges.reader = 9;
            facts.corpora_purged = 8;
        });
        assert!(![&before, &of_reader, &of_corpus].contains(&&both));
        let of_answer = with(|facts| {
            facts.purges.answers = vec![shared_types::purge::PurgedAnswer {
                id: "5c".repeat(32).parse().unwrap(),
                generation: 9,
            }];
        });
        assert_eq!(of_answer, before);
    }

    proptest! {
        #[test]
        fn the_order_of_owners_does_not_matter(owners in prop::collection::vec((any::<u128>(), any::<i64>()), 0..8)) {
            let reversed = owners.iter().rev().copied().collect();
            prop_assert_eq!(scope_version(&facts(owners, 3)), scope_version(&facts(reversed, 3)));
        }

        #[test]
        fn any_new_content_makes_a_new_version(owner in any::<u128>(), version in 0i64..1_000_000) {
            let before = scope_version(&facts(vec![(owner, version)], 3));
            prop_assert_ne!(&before, &scope_version(&facts(vec![(owner, version + 1)], 3)));
            prop_assert_ne!(&before, &scope_version(&facts(vec![(owner, version)], 4)));
            prop_assert_ne!(&before, &scope_version(&facts(vec![], 3)));
        }
    }
}
