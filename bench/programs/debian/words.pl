# Words, their lines and neighbours in hashes of arrays; sorted, joined and dropped.
use strict;
use warnings;

my (%lines, %pairs);
while (my $line = <>) {
    chomp $line;
    my @words = split / /, $line;
    push @{$lines{$_}}, $. for @words;
    $pairs{$words[$_ - 1]}{$words[$_]}++ for 1 .. $#words;
}
my @busiest = sort { @{$lines{$b}} <=> @{$lines{$a}} || $a cmp $b } keys %lines;
my $text = join "\n", map { "$_: " . join ",", @{$lines{$_}} } @busiest;
$text =~ s/(\d+),(\d+)/$2 $1/g;
print scalar(@busiest), " ", length($text), " ", scalar(keys %pairs), "\n";
