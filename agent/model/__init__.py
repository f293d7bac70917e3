"""The model: chunks folded into events (`stream`), one endpoint asked with patience (`client`, `errors`, `probe`), and
tokens counted (`tokens`). Knows nothing of WeCom, conversations or storage."""
