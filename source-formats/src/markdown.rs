//! Markdown: CommonMark with the extensions that are in common use.

use crate::{Limits, Refusal, blocks::Blocks, html};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Adds the blocks of a Markdown text. Front matter, link targets, task boxes and footnote marks are left
/// out; of HTML the text stays, of images their description. Code and hard breaks keep their lines.
pub(crate) fn read(text: &str, limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_GFM;
    let mut reader = Reader {
        blocks,
        limits,
        line: String::new(),
        image_end: 0,
        inside: Inside::Flow,
        depth: 0,
    };
    for event in Parser::new_ext(without_front_matter(text), options) {
        reader.hear(event)?;
    }
    reader.flush()
}

/// A text behind its front matter: from a fence on the first line to the next one. Between two rules further down stands
/// text.
fn without_front_matter(text: &str) -> &str {
    for fence in ["---", "+++"] {
        let mut lines = text.split_inclusive('\n');
        if lines.next().is_none_or(|line| line.trim_end() != fence) {
            continue;
        }
        let mut end = text.len() - lines.clone().map(str::len).sum::<usize>();
        for line in lines {
            end += line.len();
            if line.trim_end() == fence {
                return &text[end..];
            }
        }
    }
    text
}

/// Which block the text now belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Flow,
    Heading(u8),
    Row,
    Code,
    Html,
}

struct Reader<'a> {
    blocks: &'a mut Blocks,
    limits: &'a Limits,
    /// Text of the block so far; of an HTML block its source.
    line: String,
    /// Where in it the last image's description ends; 0 for none.
    image_end: usize,
    inside: Inside,
    depth: usize,
}

impl Reader<'_> {
    fn hear(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.inside == Inside::Code => self.code(&text),
            Event::Text(text) | Event::Code(text) | Event::Html(text) => {
                self.line.push_str(&text);
                Ok(())
            }
            Event::HardBreak if self.inside == Inside::Flow => self.flush(),
            Event::SoftBreak | Event::HardBreak => {
                self.line.push(' ');
                Ok(())
            }
            Event::InlineHtml(tag) => {
                if tag
                    .get(..3)
                    .is_some_and(|tag| tag.eq_ignore_ascii_case("<br"))
                {
                    self.line.push(' ');
                }
                Ok(())
            }
            Event::Rule => self.flush(),
            Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => Ok(()),
        }
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<(), Refusal> {
        self.depth += 1;
        if self.depth > self.limits.max_depth {
            return Err(Refusal::TooComplex);
        }
        self.inside = match tag {
            Tag::Heading { level, .. } => Inside::Heading(*level as u8),
            Tag::TableHead | Tag::TableRow => Inside::Row,
            Tag::CodeBlock(_) => Inside::Code,
            Tag::HtmlBlock => Inside::Html,
            Tag::Paragraph
            | Tag::MetadataBlock(_)
            | Tag::BlockQuote(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::FootnoteDefinition(_)
            | Tag::Table(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition => Inside::Flow,
            Tag::TableCell => {
                self.line.push(' ');
                return Ok(());
            }
            Tag::Image { .. } => {
                if self.image_end > 0 && self.image_end == self.line.len() {
                    self.line.push(' ');
                }
                return Ok(());
            }
            Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::Link { .. } => return Ok(()),
        };
        self.flush()
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), Refusal> {
        self.depth -= 1;
        match tag {
            TagEnd::TableCell
            | TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::Link => return Ok(()),
            TagEnd::Image => {
                self.image_end = self.line.len();
                return Ok(());
            }
            TagEnd::HtmlBlock => html::read_part(&self.line, self.limits, self.blocks)?,
            TagEnd::Heading(level) => self.blocks.heading(level as u8, &self.line)?,
            _ => self.blocks.text(&self.line)?,
        }
        self.line.clear();
        self.image_end = 0;
        self.inside = Inside::Flow;
        Ok(())
    }

    /// Adds what ended without a word, such as the text of an item before the list within it.
    fn flush(&mut self) -> Result<(), Refusal> {
        self.blocks.text(&self.line)?;
        self.line.clear();
        self.image_end = 0;
        Ok(())
    }

    fn code(&mut self, text: &str) -> Result<(), Refusal> {
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                self.flush()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::{Block, Limits, blocks::Blocks};

    fn shown(text: &str) -> Vec<String> {
        let mut blocks = Blocks::new(&Limits::DEFAULT);
        read(text, &Limits::DEFAULT, &mut blocks).unwrap();
        let shown = |block| match block {
            Block::Heading { level, text } => format!("{level}# {text}"),
            Block::Text(text) => text,
            Block::PageBreak => "----".to_owned(),
        };
        blocks.finish().unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn headings_paragraphs_and_items_become_blocks() {
        let text = "---\ntitle: left out\n---\n# Practice {#top}\n\nSlow, *even* and\n**relaxed**.  \nDaily.\n\n\
            The wrist\n---\n\n1. Sit\n   - low\n   - near\n\n   Then wait.\n2. [x] Play\n\n> A quotation\n";
        let expected = [
            "1# Practice",
            "Slow, even and relaxed.",
            "Daily.",
            "2# The wrist",
            "Sit",
            "low",
            "near",
            "Then wait.",
            "Play",
            "A quotation",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn links_and_images_keep_their_words_alone() {
        let text = "See [the *thumb*](https://example.org/thumb) and ![a low wrist](wrist.png \"W\").[^1]\n\n\
            [^1]: By ear.\n";
        assert_eq!(shown(text), ["See the thumb and a low wrist.", "By ear."]);
    }

    #[test]
    fn descriptions_of_images_side_by_side_stay_apart() {
        let text = "![The left hand](l.png)![The right hand](r.png) and [![both](b.png)](x)[![hands](h.png)](y)\n";
        assert_eq!(shown(text), ["The left hand The right hand and both hands"]);
    }

    #[test]
    fn front_matter_goes_and_what_stands_between_rules_stays() {
        let text = "---\ntitle: Pedal\n---\nPractise.\n\n---\nThe second lesson.\n\nMore.\n\n---\n\nEnd.\n";
        assert_eq!(
            shown(text),
            ["Practise.", "The second lesson.", "More.", "End."]
        );
    }

    #[test]
    fn rows_and_code_keep_their_lines() {
        let text = "| Week | Tempo |\n|---|---|\n| 1 | `60`<br>or less |\n\n```\nRH 1 2 3\n\nLH 5 4 3\n```\n";
        assert_eq!(
            shown(text),
            ["Week Tempo", "1 60 or less", "RH 1 2 3", "LH 5 4 3"]
        );
    }

    #[test]
    fn of_html_the_text_stays() {
        let text = "<div align=center>\n<h2>Our studio</h2>\n<script>x</script>\n</div>\n\nPlay <kbd>C</kbd> &amp; listen.\n";
        assert_eq!(shown(text), ["2# Our studio", "Play C & listen."]);
    }
}
