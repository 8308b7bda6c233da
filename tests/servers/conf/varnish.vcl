vcl 4.1;
backend origin { .host = "@address@"; .port = "@origin@"; }
sub vcl_recv { return (pass); }
