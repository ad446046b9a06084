//! Rules about the sources: layers, the module graph, the fault matrix, the table of rooms, and the tests that
//! are left out.

mod fault_matrix;
mod layers;
mod left_out;
mod module_graph;
mod rooms;
