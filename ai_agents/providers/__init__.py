"""Large language models behind one stream of events. SDKs are imported only when their provider is used."""
