//! A page's tree into blocks, without recursion.

use super::{
    is_dropped,
    roles::Role,
    tree::{NodeId, ROOT, Tree},
};
use crate::{Refusal, blocks::Blocks};
use std::collections::HashSet;

/// Adds the blocks of a page in the order of its text.
pub(super) fn walk(tree: &Tree, blocks: &mut Blocks) -> Result<(), Refusal> {
    let mut walker = Walker {
        tree,
        blocks,
        holds_main: holders_of_main(tree),
        line: String::new(),
        modes: Vec::new(),
        preformatted: 0,
        main: 0,
    };
    let mut next = tree.first_child(ROOT);
    while let Some(mut id) = next {
        if walker.enter(id)? {
            next = tree.first_child(id);
            if next.is_some() {
                continue;
            }
            walker.leave(id)?;
        }
        next = tree.next(id);
        while next.is_none() {
            match tree.parent(id) {
                None | Some(ROOT) => break,
                Some(parent) => id = parent,
            }
            walker.leave(id)?;
            next = tree.next(id);
        }
    }
    walker.flush()
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
            Role::Image => self.line.push_str(self.tree.text(id)),
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
            self.line.push_str(text);
            return Ok(());
        }
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.part()?;
            }
            self.line.push_str(line);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        match self.mode() {
            Mode::Heading(level) => self.blocks.heading(level, &self.line)?,
            Mode::Flow | Mode::Row => self.blocks.text(&self.line)?,
        }
        self.line.clear();
        Ok(())
    }
}
