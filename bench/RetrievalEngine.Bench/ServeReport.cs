using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Text.Json;
using System.Threading.Tasks;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Server;

namespace RetrievalEngine.Bench;

/// <summary>
/// What HTTP costs: <c>serve MODEL CORPUS</c> embeds titles (short) and texts of a corpus through a server in this process, whose clients share its cores, in turn with one
/// call of the encoder. Tokens a second, as a share of the encoder's (median of the rounds), and how long a request takes.
/// </summary>
internal static class ServeReport
{
    private const int Rounds = 3;
    private static readonly (int Clients, int Texts)[] s_loads = [(1, 1), (8, 1), (64, 1), (1, 32), (8, 32)];

    /// <summary>Prints a table for short texts and one for long ones.</summary>
    public static void Run(string[] args)
    {
        if (args is not [string folder, string corpus]) throw new ArgumentException("serve MODEL CORPUS: a model folder and a corpus");
        using CpuBackend backend = new();
        using TextEncoder encoder = TextEncoder.Load(backend, folder, null, EncodingContract.For(folder));
        Document[] documents = [.. Corpus.Read(corpus).Take(4096)];
        Console.WriteLine(backend.Name);
        RunAsync(encoder, "titles", [.. documents.Select(static d => d.Title.Length > 0 ? d.Title : d.Text[..Math.Min(80, d.Text.Length)]).Take(2048)]).GetAwaiter().GetResult();
        RunAsync(encoder, "texts", [.. documents.Select(static d => d.Text).Take(384)]).GetAwaiter().GetResult();
    }

    private static async Task RunAsync(TextEncoder encoder, string name, string[] texts)
    {
        RetrievalServer server = await RetrievalServer.StartAsync(new ServedModels { Names = ["model"], Device = "CPU", Encoder = encoder }, new ServerOptions { Port = 0 });
        await using (server.ConfigureAwait(false))
        {
            using SocketsHttpHandler handler = new() { MaxConnectionsPerServer = 256 };
            using HttpClient client = new(handler) { BaseAddress = new Uri(server.Url) };
            long tokens = encoder.Tokenize(texts, EncodingSide.Passage).Tokens;
            Console.WriteLine(FormattableString.Invariant($"{name}: {texts.Length} of {tokens / (double)texts.Length:F0} tokens each"));
            List<double> alone = [], single = [];
            Dictionary<(int, int), (List<double> Rates, List<double> Latencies)> loads = s_loads.ToDictionary(load => load, _ => (new List<double>(), new List<double>()));
            for (int round = 0; round <= Rounds; round++)
            {
                long start = Stopwatch.GetTimestamp();
                encoder.Encode(encoder.Tokenize(texts, EncodingSide.Passage));
                double direct = tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
                if (round > 0) alone.Add(direct);
                string[] few = texts[..(texts.Length / 8)];
                start = Stopwatch.GetTimestamp();
                foreach (string text in few) encoder.Encode(encoder.Tokenize([text], EncodingSide.Passage));
                if (round > 0) single.Add(encoder.Tokenize(few, EncodingSide.Passage).Tokens / Stopwatch.GetElapsedTime(start).TotalSeconds / direct);
                foreach ((int clients, int count) in s_loads)
                {
                    // One client with one text would take long; a part of the texts says as much.
                    string[] some = clients * count == 1 ? texts[..(texts.Length / 8)] : texts;
                    (double seconds, double[] latencies) = await SendAsync(client, some, clients, count);
                    long sent = some.Length == texts.Length ? tokens : encoder.Tokenize(some, EncodingSide.Passage).Tokens;
                    if (round == 0) continue;
                    loads[(clients, count)].Rates.Add(sent / seconds / direct);
                    loads[(clients, count)].Latencies.AddRange(latencies);
                }
            }

            Console.WriteLine(FormattableString.Invariant($"  one call of the encoder: {Timing.Middle([.. alone]):F0} tokens/s; one for each text: {Timing.Middle([.. single]):F2} of it"));
            foreach (((int clients, int count), (List<double> rates, List<double> latencies)) in loads)
            {
                latencies.Sort();
                Console.WriteLine(FormattableString.Invariant(
                    $"  {clients,2} clients, {count,2} texts a request: {Timing.Middle([.. rates]):F2} of it; a request takes {latencies[latencies.Count / 2] * 1e3:F1} ms, 1 of 100 {latencies[latencies.Count * 99 / 100] * 1e3:F1} ms"));
            }
        }
    }

    private static async Task<(double Seconds, double[] Latencies)> SendAsync(HttpClient client, string[] texts, int clients, int count)
    {
        byte[][] bodies = [.. texts.Chunk(count).Select(static chunk => JsonSerializer.SerializeToUtf8Bytes(new { input = chunk, encoding_format = "base64", truncate = true }))];
        double[] latencies = new double[bodies.Length];
        long start = Stopwatch.GetTimestamp();
        await Parallel.ForAsync(0, bodies.Length, new ParallelOptions { MaxDegreeOfParallelism = clients }, async (i, cancellation) =>
        {
            long sent = Stopwatch.GetTimestamp();
            using ByteArrayContent content = new(bodies[i]);
            using HttpResponseMessage response = await client.PostAsync(new Uri("/v1/embeddings", UriKind.Relative), content, cancellation);
            if (!response.IsSuccessStatusCode) throw new InvalidOperationException(await response.Content.ReadAsStringAsync(cancellation));
            await response.Content.CopyToAsync(Stream.Null, cancellation);
            latencies[i] = Stopwatch.GetElapsedTime(sent).TotalSeconds;
        });
        return (Stopwatch.GetElapsedTime(start).TotalSeconds, latencies);
    }
}
