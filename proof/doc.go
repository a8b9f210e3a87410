// Package proof holds no code of the product: its tests show what the whole engine does under faults. `make chaos` runs
// them in full.
package proof
