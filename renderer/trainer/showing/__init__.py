"""What the trainer's two pages show: charts and views as plain values, and the templates that they go into."""
