//! Framing between security servers on port 5500 (messages and transport §4).
