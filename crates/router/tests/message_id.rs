//! Tags: what is put on comes off, for its own account only.

use proptest::prelude::*;
use router::message_id::{BUFFER, UntagError, Untagged, tag, untag};
use router::settings::{TagSettings, TagStyle};

fn settings(style: TagStyle, signature: &str, secret: u64) -> TagSettings {
    TagSettings { style, signature: signature.as_bytes().into(), secret }
}

fn id_and_uid(style: TagStyle) -> BoxedStrategy<(Vec<u8>, [u8; 2])> {
    match style {
        // Octets that a C-Octet String can carry, '#' and '-' often.
        TagStyle::Signature => {
            let octet = prop_oneof![Just(b'#'), Just(b'-'), 1..=255_u8];
            let uid = [b'!'..=b'~', b'!'..=b'~'];
            (prop::collection::vec(octet, 1..64), uid).boxed()
        }
        TagStyle::Digits => {
            let digit = || b'0'..=b'9';
            (prop::collection::vec(digit(), 1..16), [digit(), digit()]).boxed()
        }
    }
}

fn style() -> impl Strategy<Value = TagStyle> {
    prop_oneof![Just(TagStyle::Signature), Just(TagStyle::Digits)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_put_on_comes_off(
        (style, (id, uid)) in style().prop_flat_map(|style| (Just(style), id_and_uid(style))),
        signature in "[A-Za-z0-9]{1,8}",
        secret in any::<u64>(),
        account in prop::collection::vec(1..=255_u8, 0..16),
        id_max in prop_oneof![Just(8_usize), Just(64), 0..100_usize],
    ) {
        let settings = settings(style, &signature, secret);
        let mut buf = [0; BUFFER];
        let added = match style {
            TagStyle::Signature => 1 + signature.len() + 4 + 1 + 2,
            TagStyle::Digits => 1 + 2 + 2,
        };
        let fits = id.len() + added <= id_max.min(BUFFER)
            && (style == TagStyle::Signature || id.len() <= 13);
        let tagged = tag(&settings, &account, uid, &id, id_max, &mut buf);
        prop_assert_eq!(tagged.is_some(), fits);
        if let Some(tagged) = tagged {
            prop_assert_eq!(tagged.len(), id.len() + added);
            prop_assert_eq!(untag(&settings, &account, tagged), Ok(Untagged { id: &id, uid }));
        }
    }

    /// Whatever a peer sends has a definite answer, and nothing made up passes unless it guesses
    /// the check characters.
    #[test]
    fn an_invented_id_is_refused(id in "[0-9]{0,20}|[a-z0-9#-]{0,30}|[a-z0-9]{1,9}#rh[0-9a-z]{4}-s1") {
        let settings = settings(TagStyle::Signature, "rh", 0xC0FFEE);
        prop_assert!(untag(&settings, b"acme", id.as_bytes()).is_err());
    }
}

/// Fixed inputs: what another account could find by chance is the same in every run.
#[test]
fn another_accounts_id_does_not_pass() {
    let settings = settings(TagStyle::Signature, "rh", 0x5EC2E7);
    for number in 0..20_000_u32 {
        let id = format!("{number:x}");
        let mut buf = [0; BUFFER];
        let tagged = tag(&settings, b"acme", *b"s1", id.as_bytes(), 64, &mut buf).unwrap();
        assert!(untag(&settings, b"acme", tagged).is_ok());
        assert_eq!(untag(&settings, b"acme2", tagged), Err(UntagError::Foreign), "{id}");
        assert_eq!(untag(&settings, b"", tagged), Err(UntagError::Foreign), "{id}");
    }
}

/// Two check digits are what an id of 18 digits has room for: one foreign id in a hundred passes.
#[test]
fn all_digits_ids_keep_out_all_but_one_foreign_id_in_a_hundred() {
    let settings = settings(TagStyle::Digits, "rh", 0x5EC2E7);
    let passed = (0..20_000_u32).filter(|number| {
        let mut buf = [0; BUFFER];
        let id = format!("{number:010}");
        let tagged = tag(&settings, b"acme", *b"07", id.as_bytes(), 64, &mut buf).unwrap();
        untag(&settings, b"other", tagged).is_ok()
    });
    let passed = passed.count();
    assert!((100..300).contains(&passed), "{passed} of 20000");
}
