//! Injection: what Kruise's pod webhook does, on a pod template. Pure.
