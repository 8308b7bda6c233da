import com.sun.net.httpserver.HttpServer;
import java.io.FileOutputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** One answer in three framings on the JDK's own server, which is counted: ADDRESS PORT. */
public class Answer {
    public static void main(String[] arguments) throws Exception {
        var place = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        var server = HttpServer.create(place, 256);
        var body = ("{\"label\": \"" + System.getenv("LABEL") + "\"}").getBytes();
        var counts = new FileOutputStream(System.getenv("COUNTS"), true);
        server.createContext("/", exchange -> {
            var path = exchange.getRequestURI().getPath();
            counts.write((path + "\n").getBytes());
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            if (path.startsWith("/close/")) exchange.getResponseHeaders().set("Connection", "close");
            exchange.sendResponseHeaders(200, path.startsWith("/chunked/") ? 0 : body.length);
            try (var out = exchange.getResponseBody()) { out.write(body); }
        });
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }
}
