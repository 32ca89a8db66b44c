use super::read;
use crate::{Block, Limits, Refusal, blocks::Blocks};

fn blocks(page: &str, limits: &Limits) -> Result<Vec<String>, Refusal> {
    let mut blocks = Blocks::new(limits);
    read(page, limits, &mut blocks)?;
    let shown = |block| match block {
        Block::Heading { level, text } => format!("{level}# {text}"),
        Block::Text(text) => text,
        Block::PageBreak => "----".to_owned(),
    };
    Ok(blocks.finish()?.into_iter().map(shown).collect())
}

fn shown(page: &str) -> Vec<String> {
    blocks(page, &Limits::DEFAULT).unwrap()
}

#[test]
fn the_title_stands_over_a_page_without_a_first_heading() {
    let page = "<title>Scales</title><h1 hidden>Menu</h1><h2>The thumb</h2><p>It passes under.";
    assert_eq!(
        shown(page),
        ["1# Scales", "2# The thumb", "It passes under."]
    );
    assert_eq!(
        shown("<title>Scales</title><h1>The thumb</h1>"),
        ["1# The thumb"]
    );
}

#[test]
fn a_page_whose_first_heading_stands_around_its_main_part_keeps_one_title() {
    let around = "<header><h1>Practising <em>slowly</em></h1></header>";
    let main = "<main><h2>Why</h2><p>To hear.</main>";
    for (page, title) in [
        (
            format!("<title>Slow practice</title>{around}{main}"),
            "1# Slow practice",
        ),
        (format!("{around}{main}"), "1# Practising slowly"),
        (
            format!("<title> </title>{around}{main}"),
            "1# Practising slowly",
        ),
    ] {
        assert_eq!(shown(&page), [title, "2# Why", "To hear."], "{page}");
    }
    let own = format!("<title>Studio</title>{around}<main><h1>Scales</h1>Daily.</main>");
    assert_eq!(shown(&own), ["1# Scales", "Daily."]);
    let within = "<title>Studio</title><main><header><h1>Scales</h1></header>Daily.</main>";
    assert_eq!(shown(within), ["1# Scales", "Daily."]);
    let logo = "<title>Scales</title><h1><img src=logo.png></h1>Daily.";
    assert_eq!(shown(logo), ["1# Scales", "Daily."]);
    let silent = blocks(
        "<title>Scales</title><header><h1>Hello</h1></header><main></main>",
        &Limits::DEFAULT,
    );
    assert_eq!(silent, Err(Refusal::Empty));
}

#[test]
fn the_description_of_an_image_stands_apart_from_words_and_from_the_next_one() {
    let page = "<p><img alt='The left hand'><a href=r><img alt='the right'></a>Both<img alt=hands>, \
        then C<img alt=♯>m<img alt=''>inor.<p><img alt='A low'> <img alt='wrist'>";
    assert_eq!(
        shown(page),
        [
            "The left hand the right Both hands, then C♯minor.",
            "A low wrist"
        ]
    );
}

#[test]
fn boilerplate_is_part_of_a_page_that_does_not_say_what_its_text_is() {
    let around = "<nav>Home</nav><p>Play.</p><footer>Bremen</footer>";
    assert_eq!(shown(around), ["Home", "Play.", "Bremen"]);
    assert_eq!(
        shown(&format!("{around}<main>Listen.</main>")),
        ["Play.", "Listen."]
    );
    let within = "<header>Top<article>Sing.</article></header><div role=navigation>Home</div>";
    assert_eq!(shown(within), ["Top", "Sing."]);
    assert_eq!(
        shown("<nav>Home</nav><main hidden>Listen.</main>"),
        ["Home"]
    );
}

#[test]
fn a_table_that_lays_out_a_page_is_no_row() {
    let page = "<table><tr><td><h2>Lessons</h2><p>On Monday.</p></td><td><table><tr><td>a<td>b</table>\
        <pre>1 2\n3 4</pre></td></tr></table>";
    assert_eq!(
        shown(page),
        ["2# Lessons", "On Monday.", "a b", "1 2", "3 4"]
    );
}

#[test]
fn text_before_and_after_a_list_within_an_item_stays_apart() {
    let page = "<ul><li>one<ul><li>two</ul>three<li>four<br>five</ul>six";
    assert_eq!(shown(page), ["one", "two", "three", "four", "five", "six"]);
}

#[test]
fn misplaced_content_of_a_table_is_read_where_browsers_show_it() {
    let page = "<table><tr><td>cell</td></tr>stray<p>lost</p></table>";
    assert_eq!(shown(page), ["stray", "lost", "cell"]);
}

#[test]
fn a_page_that_repeats_its_elements_without_end_is_refused() {
    let marks: Vec<String> = (0..300).map(|n| format!("<b a={n}>")).collect();
    let page = format!("<p>{}{}", marks.concat(), "<p>x".repeat(100_000));
    assert_eq!(
        blocks(&page, &Limits::DEFAULT).err(),
        Some(Refusal::TooComplex)
    );
}
