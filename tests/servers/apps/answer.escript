#!/usr/bin/env escript
%% Files on Erlang's inets, which writes an access log: ADDRESS PORT ROOT FOLDER
main([Address, Port, Root, Folder]) ->
    {ok, _} = application:ensure_all_started(inets),
    {ok, Place} = inet:parse_address(Address),
    {ok, _} = inets:start(httpd, [
        {port, list_to_integer(Port)}, {bind_address, Place}, {server_name, "answers"},
        {server_root, Folder}, {document_root, Root}, {max_clients, 1000},
        {modules, [mod_get, mod_head, mod_log]}, {transfer_log, "log"},
        {mime_types, [{"json", "application/json"}]}
    ]),
    receive stop -> ok end.
