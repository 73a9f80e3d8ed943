"""The operations that users call: arguments made canonical, then one or more primitives through `dispatch.bind`."""
