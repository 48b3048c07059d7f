"""The door of Vercel's AI SDK: what `useChat` sends and reads (npm `ai` 6.0.326 and 7.0.173, 2026-11)."""
