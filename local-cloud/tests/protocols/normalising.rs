//! That normalising a question leaves its tokens alone, by the tokeniser of the encoder itself. Those of
//! bge-base and of both local encoders are the same: BERT's, uncased.

use crate::running::models_dir;
use proptest::{collection::vec, prelude::*};
use rag_core::query::normalise;
use std::sync::LazyLock;
use tokenizers::Tokenizer;
use unicode_normalization::UnicodeNormalization;

static TOKENISER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let file = models_dir().join("minilm/tokenizer.json");
    let mut tokeniser = Tokenizer::from_file(file).unwrap();
    tokeniser.with_padding(None);
    tokeniser.with_truncation(None).unwrap();
    tokeniser
});

fn tokens(text: &str) -> Vec<u32> {
    let encoding = TOKENISER.encode_fast(text, true).unwrap();
    encoding.get_ids().to_vec()
}

fn is_nfkc(text: &str) -> bool {
    text.nfkc().eq(text.chars())
}

/// White space to us; the encoder drops it and joins the words around it.
fn is_dropped_by_the_encoder(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r')
}

/// All characters that are assigned to anything, and some that are not. The planes between are empty.
fn assigned() -> impl Iterator<Item = char> {
    ('\0'..='\u{323af}').chain('\u{e0000}'..='\u{e01ef}')
}

/// Characters alone, within a word, and beside each other.
fn in_context(c: char) -> String {
    format!("a{c}b {c} x{c}{c} {c}y")
}

#[test]
fn no_character_that_is_in_nfkc_has_other_tokens_once_it_is_normalised() {
    let differ: Vec<char> = assigned()
        .filter(|c| is_nfkc(&c.to_string()) && !is_dropped_by_the_encoder(*c))
        .filter(|c| {
            let text = in_context(*c);
            tokens(&normalise(&text).unwrap()) != tokens(&text)
        })
        .collect();
    assert_eq!(differ, ['\0'; 0]);
}

#[test]
fn no_character_has_other_tokens_in_lower_case() {
    let differ: Vec<char> = assigned()
        .filter(|c| !c.to_lowercase().eq([*c]))
        .filter(|c| {
            let text = in_context(*c);
            let folded: String = text.chars().flat_map(char::to_lowercase).collect();
            tokens(&folded) != tokens(&text)
        })
        .collect();
    assert_eq!(differ, ['\0'; 0]);
}

#[test]
fn a_token_of_the_encoders_own_that_somebody_writes_is_a_word_like_any_other() {
    let separator = TOKENISER.token_to_id("[SEP]").unwrap();
    let separators = |text: &str| {
        let tokens = tokens(text);
        tokens.iter().filter(|token| **token == separator).count()
    };
    assert_eq!(separators("legato [SEP] staccato"), 2);
    assert_eq!(separators(&normalise("legato [SEP] staccato").unwrap()), 1);
}

#[test]
fn what_nfkc_changes_the_encoder_could_not_read_as_it_was() {
    for (written, read) in [
        ("a ﬁngering exercise", "a fingering exercise"),
        ("Ｌｅｇａｔｏ", "legato"),
        ("𝐬𝐭𝐚𝐜𝐜𝐚𝐭𝐨", "staccato"),
    ] {
        assert_ne!(tokens(written), tokens(read));
        assert_eq!(tokens(&normalise(written).unwrap()), tokens(read));
    }
}

/// Words in many scripts, and what people paste between them.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "Étude",
        "e\u{301}tude",
        "İstanbul",
        "ı",
        "Straße",
        "ẞ",
        "ΣΊΣΥΦΟΣ",
        "ﬁ",
        "ﬃ",
        "ｆｕｌｌ",
        "x²",
        "H₂O",
        "½",
        "㎏",
        "ª",
        "№",
        "♯",
        "♭",
        "♮",
        "𝄞",
        "𝅘𝅥𝅮",
        "𝄪",
        "C♯",
        "練習曲",
        "ピアノ",
        "ﾋﾟｱﾉ",
        "피아노",
        "음악",
        "가",
        "שָׁלוֹם",
        "العَرَبِيَّة",
        "ﷺ",
        "हिन्दी",
        "ไทย",
        "👩‍🎹",
        "🎼",
        "🏳️‍🌈",
        "\u{200b}",
        "\u{200d}",
        "\u{200f}",
        "\u{ad}",
        "\u{feff}",
        "\u{2028}",
        "\u{a0}",
        "\u{3000}",
        "\u{fffd}",
        "ǅ",
        "Ǆ",
        "ŉ",
        "K",
        "Å",
        "Ω",
        "…",
        "—",
        "“so”",
        "ſ",
        "Ⅳ",
        "①",
        "\u{345}",
        "ᾳ",
        "Ꭰ",
        "Ა",
        " ",
        "\t",
        "\n",
        "pp",
        "Op. 10/3",
        "##s",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        2 => "[A-Za-zÀ-ž]{1,9}".prop_map(String::from),
        1 => Just(" ".to_owned()),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn beyond_nfkc_normalising_changes_no_token(pieces in vec(piece(), 1..12)) {
        let text = pieces.concat();
        prop_assume!(!text.chars().any(is_dropped_by_the_encoder));
        if let Ok(normalised) = normalise(&text) {
            let composed: String = text.nfkc().collect();
            prop_assert_eq!(tokens(&normalised), tokens(&composed), "{:?}", text);
        }
    }
}
