# Words, pairs of words and lines counted in associative arrays.
{
  for (i = 1; i <= NF; i++) {
    count[$i]++
    if (i > 1) pairs[$(i - 1) " " $i]++
  }
  gsub(/[aeiou]+/, "*")
  lines[$0] = NR
}
END {
  print length(count), length(pairs), length(lines)
  n = asorti(count, sorted)
  print sorted[1], sorted[n]
}
