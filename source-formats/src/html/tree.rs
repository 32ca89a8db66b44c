//! A page as a tree, in one vector: dropped without recursion, however deep it is.

use super::roles::Role;
use crate::{Limits, Refusal};
use html5ever::{
    Attribute, ParseOpts, QualName, local_name, ns, parse_document,
    tendril::{StrTendril, TendrilSink},
    tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink},
};
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    iter,
    rc::Rc,
};

/// How much is parsed between two looks at the limits.
const PIECE_BYTES: usize = 4096;

/// A node's place in its tree.
pub(super) type NodeId = u32;

/// No node.
const NONE: NodeId = NodeId::MAX;
/// The document.
pub(super) const ROOT: NodeId = 0;

struct Node {
    role: Role,
    parent: NodeId,
    previous: NodeId,
    next: NodeId,
    first: NodeId,
    last: NodeId,
    depth: u32,
    text: StrTendril,
}

/// A page.
#[derive(Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Builds a page's tree by the standard's rules.
    pub(super) fn parse(page: &str, limits: &Limits) -> Result<Self, Refusal> {
        let mut parser = parse_document(Builder::new(), ParseOpts::default());
        let mut rest = page;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
            parser.process(StrTendril::from_slice(piece));
            rest = after;
            let builder = &parser.tokenizer.sink.sink;
            if builder.elements.get() > limits.max_elements
                || builder.depth.get() as usize > limits.max_depth
            {
                return Err(Refusal::TooComplex);
            }
        }
        Ok(parser.finish())
    }

    /// All nodes, in the order in which they were made.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        1..self.nodes.len() as NodeId
    }

    pub(super) fn role(&self, id: NodeId) -> Role {
        self.node(id).role
    }

    pub(super) fn text(&self, id: NodeId) -> &str {
        &self.node(id).text
    }

    pub(super) fn parent(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).parent)
    }

    pub(super) fn next(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).next)
    }

    pub(super) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).first)
    }

    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        iter::successors(self.first_child(id), |child| self.next(*child))
    }

    /// A node, its parent, and so on.
    pub(super) fn and_ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        iter::successors(Some(id), |id| self.parent(*id))
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    fn add(&mut self, role: Role, text: StrTendril) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node {
            role,
            parent: NONE,
            previous: NONE,
            next: NONE,
            first: NONE,
            last: NONE,
            depth: 0,
            text,
        });
        id
    }

    fn unlink(&mut self, id: NodeId) {
        let Node {
            parent,
            previous,
            next,
            ..
        } = *self.node(id);
        if parent == NONE {
            return;
        }
        match some(previous) {
            Some(previous) => self.node_mut(previous).next = next,
            None => self.node_mut(parent).first = next,
        }
        match some(next) {
            Some(next) => self.node_mut(next).previous = previous,
            None => self.node_mut(parent).last = previous,
        }
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
    }

    /// Puts a node under `parent`, before its child `next` or last.
    fn link(&mut self, id: NodeId, parent: NodeId, next: NodeId) {
        self.unlink(id);
        let previous = some(next).map_or(self.node(parent).last, |next| self.node(next).previous);
        match some(previous) {
            Some(previous) => self.node_mut(previous).next = id,
            None => self.node_mut(parent).first = id,
        }
        match some(next) {
            Some(next) => self.node_mut(next).previous = id,
            None => self.node_mut(parent).last = id,
        }
        let depth = self.node(parent).depth + 1;
        let node = self.node_mut(id);
        (node.parent, node.previous, node.next, node.depth) = (parent, previous, next, depth);
    }

    /// Puts text under `parent`, before its child `next` or last; text that it follows takes it up.
    fn link_text(&mut self, text: StrTendril, parent: NodeId, next: NodeId) {
        let previous = some(next).map_or(self.node(parent).last, |next| self.node(next).previous);
        if let Some(previous) = some(previous)
            && self.node(previous).role == Role::Text
        {
            self.node_mut(previous).text.push_tendril(&text);
            return;
        }
        let id = self.add(Role::Text, text);
        self.link(id, parent, next);
    }
}

fn some(id: NodeId) -> Option<NodeId> {
    (id != NONE).then_some(id)
}

/// What the parser knows a node by. Comments are [`NONE`].
#[derive(Clone)]
struct Handle {
    id: NodeId,
    name: Rc<QualName>,
}

/// Builds a tree.
struct Builder {
    tree: RefCell<Tree>,
    nameless: Rc<QualName>,
    elements: Cell<usize>,
    depth: Cell<u32>,
}

impl Builder {
    fn new() -> Self {
        let mut tree = Tree::default();
        tree.add(Role::Block, StrTendril::new());
        Self {
            tree: RefCell::new(tree),
            nameless: Rc::new(QualName::new(None, ns!(), local_name!(""))),
            elements: Cell::new(0),
            depth: Cell::new(0),
        }
    }

    fn nameless(&self, id: NodeId) -> Handle {
        Handle {
            id,
            name: Rc::clone(&self.nameless),
        }
    }

    fn put(&self, child: NodeOrText<Handle>, parent: NodeId, next: NodeId) {
        let mut tree = self.tree.borrow_mut();
        match child {
            NodeOrText::AppendText(text) => tree.link_text(text, parent, next),
            NodeOrText::AppendNode(Handle { id: NONE, .. }) => {}
            NodeOrText::AppendNode(Handle { id, .. }) => {
                tree.link(id, parent, next);
                self.depth.set(self.depth.get().max(tree.node(id).depth));
            }
        }
    }
}

impl TreeSink for Builder {
    type Handle = Handle;
    type Output = Tree;
    type ElemName<'a> = &'a QualName;

    fn finish(self) -> Tree {
        self.tree.into_inner()
    }

    fn parse_error(&self, _message: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        self.nameless(ROOT)
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> &'a QualName {
        &target.name
    }

    fn create_element(
        &self,
        name: QualName,
        attributes: Vec<Attribute>,
        _flags: ElementFlags,
    ) -> Handle {
        self.elements.set(self.elements.get() + 1);
        let mut role = Role::of(&name, &attributes);
        let mut text = StrTendril::new();
        if &*name.local == "img" && role == Role::Inline {
            let alt = attributes
                .into_iter()
                .find(|attribute| &*attribute.name.local == "alt");
            (role, text) = (Role::Image, alt.map(|alt| alt.value).unwrap_or_default());
        }
        let id = self.tree.borrow_mut().add(role, text);
        Handle {
            id,
            name: Rc::new(name),
        }
    }

    fn create_comment(&self, _text: StrTendril) -> Handle {
        self.nameless(NONE)
    }

    fn create_pi(&self, _target: StrTendril, _data: StrTendril) -> Handle {
        self.nameless(NONE)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.put(child, parent.id, NONE);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        previous: &Handle,
        child: NodeOrText<Handle>,
    ) {
        let parent = self.tree.borrow().parent(element.id);
        match parent {
            Some(parent) => self.put(child, parent, element.id),
            None => self.put(child, previous.id, NONE),
        }
    }

    fn append_doctype_to_document(
        &self,
        _name: StrTendril,
        _public: StrTendril,
        _system: StrTendril,
    ) {
    }

    /// The element itself: what is in it is never looked at.
    fn get_template_contents(&self, target: &Handle) -> Handle {
        target.clone()
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        one.id == other.id
    }

    fn set_quirks_mode(&self, _mode: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, new: NodeOrText<Handle>) {
        let parent = self.tree.borrow().parent(sibling.id);
        if let Some(parent) = parent {
            self.put(new, parent, sibling.id);
        }
    }

    fn add_attrs_if_missing(&self, _target: &Handle, _attributes: Vec<Attribute>) {}

    fn remove_from_parent(&self, target: &Handle) {
        if target.id != NONE {
            self.tree.borrow_mut().unlink(target.id);
        }
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        let mut tree = self.tree.borrow_mut();
        while let Some(child) = tree.first_child(node.id) {
            tree.link(child, new_parent.id, NONE);
        }
    }
}
