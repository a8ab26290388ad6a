//! Clients, services and access rights of this node.
