//! Resource quantities of the API machinery (resource.Quantity).
