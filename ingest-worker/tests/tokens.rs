//! Counting with an encoder's own tokenizer.
//!
//! Needs `ETUDE_MODELS_DIR`.

use ingest_worker::tokens::TokenCounter;
use std::path::Path;

const TEXTS: [&str; 7] = [
    "Short daily sessions do more than one long session at the weekend.",
    "(Allegro, ma non troppo) 1-2-3-1; c'4 d8. \\relative { e''2 }",
    "Die Übung heißt »Fingerläufe«, l’arpège – 5 %",
    "音階 scales 和音 ♯♭ 🎹",
    "uncharacteristically pneumonoultramicroscopicsilicovolcanoconiosis",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ cis''!~un_poco-a=poco, e.g. 4/4|Op.10,No.3 ...ff?! a'|",
    "",
];

#[test]
fn word_by_word_a_text_has_as_many_tokens_as_in_one_piece() {
    let models =
        std::env::var("ETUDE_MODELS_DIR").expect("set ETUDE_MODELS_DIR; `cargo xtask test` does");
    let file = Path::new(&models).join("minilm/tokenizer.json");
    let tokens = TokenCounter::from_file(&file).expect("the models folder holds the small encoder");
    let word_by_word = tokens.word_by_word();
    for text in TEXTS.iter().chain(&TEXTS) {
        assert_eq!(word_by_word(text), tokens.count(text), "{text}");
    }
    assert_eq!(word_by_word("slow"), 1);
}
