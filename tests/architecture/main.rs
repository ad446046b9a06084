//! Rules about the sources: layers, the module graph, and the fault matrix.

mod fault_matrix;
mod layers;
mod module_graph;
