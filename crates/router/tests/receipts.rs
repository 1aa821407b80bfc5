//! The receipt table against a map that forgets nothing before its time.

use std::collections::HashMap;

use proptest::prelude::*;
use router::receipts::{Entry, Fingerprint, Learned, Receipts};
use router::{AccountId, ConnId, CoreId, NamespaceId, ServerId};

#[derive(Clone, Debug)]
enum Step {
    Learn { id: u16, account: u32, ttl: u64 },
    Find { id: u16 },
    Remove { id: u16 },
    Wait { secs: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..120_u16;
    prop_oneof![
        4 => (id.clone(), 0..9_u32, 0..60_u64).prop_map(|(id, account, ttl)| Step::Learn { id, account, ttl }),
        3 => id.clone().prop_map(|id| Step::Find { id }),
        1 => id.prop_map(|id| Step::Remove { id }),
        1 => (0..20_u64).prop_map(|secs| Step::Wait { secs }),
    ]
}

fn fingerprint(id: u16) -> Fingerprint {
    Fingerprint::new(0xFEED, NamespaceId(3), format!("{id:x}").as_bytes())
}

proptest! {
    /// What the table says is what was learned last; what it does not say was evicted, and as many
    /// are missing as it reported evictions.
    #[test]
    fn the_table_never_says_anything_else_than_the_map(
        capacity in 1..100_u32,
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let mut receipts = Receipts::new(capacity);
        let mut map: HashMap<u16, (Entry, u64)> = HashMap::new();
        let mut now = 1_000;
        for step in steps {
            match step {
                Step::Learn { id, account, ttl } => {
                    let entry = Entry {
                        account: AccountId(account),
                        conn: ConnId::new(CoreId(0), u32::from(id), account),
                        server: ServerId(id),
                    };
                    let before = receipts.len(now);
                    let known = receipts.find(fingerprint(id), now).is_some();
                    let learned = receipts.learn(fingerprint(id), entry, now + ttl, now);
                    prop_assert_eq!(learned == Learned::Replaced, known);
                    let gone = u32::from(learned != Learned::New);
                    prop_assert_eq!(receipts.len(now), before + u32::from(ttl > 0) - gone);
                    map.insert(id, (entry, now + ttl));
                }
                Step::Find { id } => {
                    if let Some(found) = receipts.find(fingerprint(id), now) {
                        let (entry, expires) = map[&id];
                        prop_assert_eq!(found, entry);
                        prop_assert!(expires > now);
                    }
                }
                Step::Remove { id } => {
                    // The table hears of the time when it learns, and judges removal by that.
                    let found = receipts.find(fingerprint(id), now);
                    let removed = receipts.remove(fingerprint(id));
                    prop_assert!(found.is_none() || removed == found);
                    prop_assert_eq!(receipts.find(fingerprint(id), now), None);
                    map.remove(&id);
                }
                Step::Wait { secs } => now += secs,
            }
            map.retain(|_, (_, expires)| *expires > now);
            receipts.check_invariants();
            let found = map.keys().filter(|id| receipts.find(fingerprint(**id), now).is_some());
            prop_assert_eq!(found.count() as u32, receipts.len(now));
        }
    }

    /// With room for all, nothing is forgotten before its time.
    #[test]
    fn a_table_that_is_not_full_forgets_nothing(ids in prop::collection::hash_set(any::<u16>(), 0..200)) {
        let mut receipts = Receipts::new(100_000);
        for &id in &ids {
            let entry = Entry { account: AccountId(u32::from(id)), conn: ConnId::from_bits(1), server: ServerId(1) };
            prop_assert_eq!(receipts.learn(fingerprint(id), entry, 100, 1), Learned::New);
        }
        for &id in &ids {
            let account = receipts.find(fingerprint(id), 99).map(|entry| entry.account.0);
            prop_assert_eq!(account, Some(u32::from(id)));
        }
    }
}
