"""The door of AG-UI 1.0 (https://ag-ui.com/spec/1.0, read 2026-11)."""
