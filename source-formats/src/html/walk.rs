//! A page's tree into blocks, without recursion.

use super::{
    is_dropped,
    roles::Role,
    tree::{NodeId, Tree},
};
use crate::{Refusal, blocks::Blocks};
use std::collections::HashSet;

/// Adds the blocks of a node, and of all within it, in the order of its text.
pub(super) fn walk(tree: &Tree, top: NodeId, blocks: &mut Blocks) -> Result<(), Refusal> {
    let mut walker = Walker {
        tree,
        blocks,
        holds_main: holders_of_main(tree),
        line: String::new(),
        image_end: 0,
        modes: Vec::new(),
        preformatted: 0,
        main: 0,
    };
    let mut id = top;
    loop {
        let is_entered = walker.enter(id)?;
        if is_entered && let Some(child) = tree.first_child(id) {
            id = child;
            continue;
        }
        if is_entered {
            walker.leave(id)?;
        }
        id = loop {
            if id == top {
                return walker.flush();
            }
            if let Some(next) = tree.next(id) {
                break next;
            }
            let Some(parent) = tree.parent(id) else {
                return walker.flush();
            };
            walker.leave(parent)?;
            id = parent;
        };
    }
}

/// The main parts that are seen, and all that they stand in.
fn holders_of_main(tree: &Tree) -> HashSet<NodeId> {
    let mut holders = HashSet::new();
    for main in tree.nodes().filter(|id| tree.role(*id) == Role::Main) {
        if !is_dropped(tree, main) {
            let new = tree
                .and_ancestors(main)
                .take_while(|id| !holders.contains(id));
            let new: Vec<NodeId> = new.collect();
            holders.extend(new);
        }
    }
    holders
}

/// What becomes of the text of the elements that are entered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Flow,
    Heading(u8),
    Row,
}

struct Walker<'a> {
    tree: &'a Tree,
    blocks: &'a mut Blocks,
    holds_main: HashSet<NodeId>,
    line: String,
    /// Where in it the last image's description ends; 0 for none.
    image_end: usize,
    modes: Vec<Mode>,
    /// How many elements that keep their lines, and main parts, are entered.
    preformatted: usize,
    main: usize,
}

impl Walker<'_> {
    fn mode(&self) -> Mode {
        self.modes.last().copied().unwrap_or(Mode::Flow)
    }

    /// Begins a node; whether it is to be looked into.
    fn enter(&mut self, id: NodeId) -> Result<bool, Refusal> {
        match self.tree.role(id) {
            Role::Text => self.text(self.tree.text(id))?,
            Role::Image => self.put(self.tree.text(id), true),
            Role::Dropped | Role::Title => return Ok(false),
            Role::Boilerplate
                if self.main == 0
                    && !self.holds_main.is_empty()
                    && !self.holds_main.contains(&id) =>
            {
                return Ok(false);
            }
            Role::Inline => {}
            Role::Block | Role::Break => self.part()?,
            Role::Heading(level) => self.begin(Mode::Heading(level))?,
            Role::Row => self.begin(Mode::Row)?,
            Role::Structure | Role::Boilerplate => self.begin(Mode::Flow)?,
            Role::Preformatted => {
                self.preformatted += 1;
                self.begin(Mode::Flow)?;
            }
            Role::Main => {
                self.main += 1;
                self.begin(Mode::Flow)?;
            }
        }
        Ok(true)
    }

    /// Ends a node that was entered.
    fn leave(&mut self, id: NodeId) -> Result<(), Refusal> {
        match self.tree.role(id) {
            Role::Text | Role::Image | Role::Dropped | Role::Title | Role::Inline | Role::Break => {
                return Ok(());
            }
            Role::Block => return self.part(),
            Role::Preformatted => self.preformatted -= 1,
            Role::Main => self.main -= 1,
            Role::Heading(_) | Role::Row | Role::Structure | Role::Boilerplate => {}
        }
        self.flush()?;
        self.modes.pop();
        Ok(())
    }

    fn begin(&mut self, mode: Mode) -> Result<(), Refusal> {
        self.flush()?;
        self.modes.push(mode);
        Ok(())
    }

    /// Parts what was from what comes.
    fn part(&mut self) -> Result<(), Refusal> {
        if self.mode() == Mode::Flow {
            return self.flush();
        }
        self.line.push(' ');
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        if self.preformatted == 0 {
            self.put(text, false);
            return Ok(());
        }
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.part()?;
            }
            self.put(line, false);
        }
        Ok(())
    }

    /// Adds to the line. Where browsers draw an image, its description stands apart from the next one's, and from words.
    fn put(&mut self, text: &str, is_image: bool) {
        if text.is_empty() {
            return;
        }
        let is_behind_image = self.image_end > 0 && self.image_end == self.line.len();
        let meets_word =
            self.line.ends_with(char::is_alphanumeric) && text.starts_with(char::is_alphanumeric);
        if (is_behind_image && (is_image || meets_word)) || (is_image && meets_word) {
            self.line.push(' ');
        }
        self.line.push_str(text);
        if is_image {
            self.image_end = self.line.len();
        }
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        match self.mode() {
            Mode::Heading(level) => self.blocks.heading(level, &self.line)?,
            Mode::Flow | Mode::Row => self.blocks.text(&self.line)?,
        }
        self.line.clear();
        self.image_end = 0;
        Ok(())
    }
}
