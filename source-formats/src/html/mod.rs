//! Web pages, parsed as browsers parse them.

mod roles;
mod tree;
mod walk;

use crate::{Limits, Refusal, blocks::Blocks};
use roles::Role;
use tree::{NodeId, Tree};

/// Adds the blocks of a page: what a reader sees, without what stands around its main part if it says which
/// that is. The page's title stands over it where no `h1` does; a title alone is no text.
pub(crate) fn read(page: &str, limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    let tree = Tree::parse(page, limits)?;
    let mut titles = tree.nodes().filter(|id| tree.role(*id) == Role::Title);
    let is_h1 = |id| tree.role(id) == Role::Heading(1) && !is_dropped(&tree, id);
    if let Some(title) = titles.next()
        && !tree.nodes().any(is_h1)
    {
        let text: String = tree.children(title).map(|id| tree.text(id)).collect();
        blocks.heading(1, &text)?;
    }
    let before = blocks.len();
    walk::walk(&tree, blocks)?;
    if blocks.len() == before {
        return Err(Refusal::Empty);
    }
    Ok(())
}

/// Adds the blocks of a part of a page, such as stands in Markdown.
pub(crate) fn read_part(part: &str, limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    walk::walk(&Tree::parse(part, limits)?, blocks)
}

fn is_dropped(tree: &Tree, id: NodeId) -> bool {
    tree.and_ancestors(id)
        .any(|id| tree.role(id) == Role::Dropped)
}

#[cfg(test)]
mod tests;
