"""What `import charlm` offers: load and train models, and use them."""
