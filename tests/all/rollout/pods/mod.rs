//! Tests of rollouts over pods, as the SidecarSet controller of Kruise performs them.

mod properties;
mod rules;
mod steps;
mod traces;
