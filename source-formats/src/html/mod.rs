//! Web pages, parsed as browsers parse them.

mod roles;
mod tree;
mod walk;

use crate::{Block, Limits, Refusal, blocks::Blocks};
use roles::Role;
use tree::{NodeId, ROOT, Tree};

/// Adds the blocks of a page: what a reader sees, without what stands around its main part if it says which
/// that is. Over a page in which no `h1` is read stands its title, or else the first `h1` around the main part; a title
/// alone is no text.
pub(crate) fn read(page: &str, limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    let tree = Tree::parse(page, limits)?;
    let start = blocks.len();
    walk::walk(&tree, ROOT, blocks)?;
    let end = blocks.len();
    if end == start {
        return Err(Refusal::Empty);
    }
    if blocks.has_heading(start, 1) {
        return Ok(());
    }
    if let Some(title) = tree.nodes().find(|id| tree.role(*id) == Role::Title) {
        let text: String = tree.children(title).map(|id| tree.text(id)).collect();
        blocks.heading_at(start, 1, &text)?;
    }
    let is_h1 = |id: &NodeId| tree.role(*id) == Role::Heading(1) && !is_dropped(&tree, *id);
    if blocks.len() == end
        && let Some(h1) = tree.nodes().find(is_h1)
    {
        let mut around = Blocks::new(limits);
        walk::walk(&tree, h1, &mut around)?;
        if let Some(Block::Heading { text, .. }) = around.first() {
            blocks.heading_at(start, 1, text)?;
        }
    }
    Ok(())
}

/// Adds the blocks of a part of a page, such as stands in Markdown.
pub(crate) fn read_part(part: &str, limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    walk::walk(&Tree::parse(part, limits)?, ROOT, blocks)
}

fn is_dropped(tree: &Tree, id: NodeId) -> bool {
    tree.and_ancestors(id)
        .any(|id| tree.role(id) == Role::Dropped)
}

#[cfg(test)]
mod tests;
