"""The Textual program: one file per pane, one per screen; `app.ui.app` owns the state."""
