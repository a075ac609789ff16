"""Statistical methods: pure functions of numbers, which import nothing of Afterword."""
