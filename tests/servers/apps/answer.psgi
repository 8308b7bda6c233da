# One answer in three framings, on servers of PSGI, which is counted.
use strict;
use warnings;

open(my $counts, '>>', $ENV{COUNTS}) or die $!;
my $body = qq({"label": "$ENV{LABEL}"});

sub {
    my ($env) = @_;
    my $path = $env->{PATH_INFO};
    syswrite($counts, "$path\n");
    my @headers = ('Content-Type' => 'application/json');
    if ($path =~ m{^/chunked/}) {
        return sub {
            my $writer = $_[0]->([200, \@headers]);
            $writer->write(substr($body, 0, 7));
            $writer->write(substr($body, 7));
            $writer->close;
        };
    }
    push @headers, 'Content-Length' => length $body;
    push @headers, 'Connection' => 'close' if $path =~ m{^/close/};
    return [200, \@headers, [$body]];
};
