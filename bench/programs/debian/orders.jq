# Orders grouped by customer, their lines summed, the largest customers rendered.
map(. + {total: (.lines | map(.amount * .price) | add)})
| group_by(.customer)
| map({customer: .[0].customer, orders: length, total: (map(.total) | add),
       products: (map(.lines[].product) | unique | length),
       notes: (map(.note) | join("; ") | ascii_upcase | length)})
| sort_by(-.total)
| .[:100]
