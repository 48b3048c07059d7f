"""Providers of language models, all behind one stream of events. An SDK is imported when its provider is first used."""
