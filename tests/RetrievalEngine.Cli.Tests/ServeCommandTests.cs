using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Net.Http;
using System.Net.Sockets;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using static RetrievalEngine.Cli.Tests.CommandRun;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>serve</c> as a user meets it: started, asked, stopped by a signal, and with bad input.</summary>
internal sealed class ServeCommandTests
{
    private TemporaryFiles _files = null!;
    private string _model = null!, _corpus = null!;

    [SetUp]
    public void SetUp()
    {
        _files = new TemporaryFiles();
        _model = TinyModel.WriteEncoder(_files.PathOf("model"));
        _corpus = _files.Write("corpus.jsonl", string.Concat(Enumerable.Range(0, 12).Select(i => $$"""{"_id": "d{{i}}", "title": "", "text": "text of {{(char)('a' + i)}}"}""" + "\n")));
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [TestCase("-TERM")]
    [TestCase("-INT")]
    public async Task AnIndex_IsSearchedAsTheVerbSearchDoes_AndASignalEndsItWell(string signal)
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("signals are sent with kill");
        await Done("encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("embeddings"), "--query-prefix", "text ");
        await Done("index", "build", "--embeddings", _files.PathOf("embeddings"), "--output", _files.PathOf("index"));
        string queries = _files.Write("queries.jsonl", """{"_id": "q", "text": "of c"}""" + "\n");
        string[] expected = (await Done("search", "--index", _files.PathOf("index"), "--queries", queries, "--depth", "5")).Output.Trim().Split('\n');

        using Process server = CommandProcess.Start("serve", "--index", _files.PathOf("index"), "--corpus", _corpus, "--port", "0", "--json", "--device", "cpu", "--api-key", "secret");
        try
        {
            string url = JsonElement.Parse((await server.StandardOutput.ReadLineAsync())!).GetProperty("url").GetString()!;
            using HttpClient client = new() { BaseAddress = new Uri(url) };
            client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
            using StringContent query = new("""{"query": "of c", "depth": 5, "return_text": true}""");
            using HttpResponseMessage response = await client.PostAsync(new Uri("/search", UriKind.Relative), query);
            JsonElement[] hits = [.. JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("results")[0].GetProperty("hits").EnumerateArray()];
            Assert.That(hits.Select(hit => (hit.GetProperty("id").GetString(), hit.GetProperty("score").GetSingle())),
                Is.EqualTo(expected.Select(line => line.Split(' ')).Select(columns => (columns[2], float.Parse(columns[4], CultureInfo.InvariantCulture)))));
            Assert.That(hits[0].GetProperty("text").GetString(), Does.StartWith("text of "));

            using Process kill = Process.Start("kill", [signal, server.Id.ToString(CultureInfo.InvariantCulture)])!;
            await server.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
            Assert.That((server.ExitCode, await server.StandardError.ReadToEndAsync()), Is.EqualTo((ExitCodes.Done, "retrieval: stopping; press Ctrl-C again to end at once\n")));
        }
        finally
        {
            server.Kill();
        }
    }

    [Test]
    public async Task ASecondSignal_EndsItAtOnce()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("signals are sent with kill");
        using Process server = CommandProcess.Start("serve", "--model", _model, "--port", "0", "--json", "--device", "cpu", "--quiet");
        try
        {
            Uri url = new(JsonElement.Parse((await server.StandardOutput.ReadLineAsync())!).GetProperty("url").GetString()!);
            using TcpClient client = new(url.Host, url.Port);
            // A body that does not come keeps its request under way.
            await client.GetStream().WriteAsync("POST /embed HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n{"u8.ToArray());
            using HttpClient http = new() { BaseAddress = url };
            while (!(await http.GetStringAsync(new Uri("/metrics", UriKind.Relative))).Contains("te_request_count{method=\"embed\"} 1", StringComparison.Ordinal)) await Task.Delay(5);
            for (int i = 0; i < 2; i++)
            {
                using Process kill = Process.Start("kill", ["-INT", server.Id.ToString(CultureInfo.InvariantCulture)])!;
                await kill.WaitForExitAsync();
                if (i == 0) Assert.That(await server.StandardError.ReadLineAsync(), Does.Contain("stopping"));
            }

            await server.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(15));
            Assert.That(server.ExitCode, Is.EqualTo(ExitCodes.Stopped), "ended by the signal");
        }
        finally
        {
            server.Kill();
        }
    }

    [Test]
    public async Task ARerankerAlone_IsServed()
    {
        string data = _files.Write("train.jsonl", string.Concat(Enumerable.Range(0, 8).Select(i =>
            $$"""{"query_id":"q{{i}}","query":"what is {{i}}","positive_passages":[{"docid":"p{{i}}","title":"","text":"text of {{i}}"}],"negative_passages":[{"docid":"n{{i}}","title":"","text":"other {{i}}"}]}""" + "\n")));
        CommandRun trained = await Of("train", "--task", "reranker", "--model", _model, "--train-data", data, "--output", _files.PathOf("reranker"), "--max-steps", "1",
            "--train-group-size", "2", "--device", "cpu", "--quiet");
        Assert.That(trained.ExitCode, Is.EqualTo(ExitCodes.Done), trained.Error);
        using Process server = CommandProcess.Start("serve", "--reranker", _files.PathOf("reranker"), "--served-model-name", "mine", "--port", "0", "--device", "cpu");
        try
        {
            string line = (await server.StandardOutput.ReadLineAsync())!;
            Assert.That(line, Does.Match(@"^listening on http://127\.0\.0\.1:\d+ \(CPU .*\)$"));
            using HttpClient client = new() { BaseAddress = new Uri(line.Split(' ')[2]) };
            using StringContent query = new("""{"query": "a", "documents": ["b", "c"]}""");
            using HttpResponseMessage response = await client.PostAsync(new Uri("/v1/rerank", UriKind.Relative), query);
            JsonElement answer = JsonElement.Parse(await response.Content.ReadAsStringAsync());
            Assert.That((answer.GetProperty("model").GetString(), answer.GetProperty("results").GetArrayLength()), Is.EqualTo(("mine", 2)));
            Assert.That(await client.GetStringAsync(new Uri("/health", UriKind.Relative)), Does.Contain("ok"));
        }
        finally
        {
            server.Kill();
        }
    }

    [Test]
    public async Task BadInput_IsRefusedInASentence()
    {
        await Refused("no such folder", "serve", "--model", _files.PathOf("absent"));
        using TcpListener taken = new(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        int port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;
        await Refused($"127.0.0.1:{port} cannot be listened on", "serve", "--model", _model, "--device", "cpu", "--port", port.ToString(CultureInfo.InvariantCulture));
        await Refused("nowhere is not an IP address", "serve", "--model", _model, "--device", "cpu", "--host", "nowhere");
    }

    [TestCase("give --model DIR, --index DIR or --reranker DIR")]
    [TestCase("--adapter goes with --model", "--reranker", "r", "--adapter", "a")]
    [TestCase("--reranker-adapter goes with", "--model", "m", "--reranker-adapter", "a")]
    [TestCase("--corpus goes with --index", "--model", "m", "--corpus", "c")]
    [TestCase("--pooling does not go with --index", "--index", "i", "--pooling", "mean")]
    [TestCase("--pooling goes with --model", "--reranker", "r", "--pooling", "mean")]
    [TestCase("--port must lie between 0 and 65535", "--model", "m", "--port", "65536")]
    [TestCase("--api-key is empty", "--model", "m", "--api-key", "")]
    [TestCase("--max-queued-tokens must be at least 1", "--model", "m", "--max-queued-tokens", "0")]
    public async Task BadUsage_IsRefused(string expected, params string[] args)
    {
        CommandRun run = await Of(["serve", .. args]);
        Assert.That((run.ExitCode, run.Output), Is.EqualTo((ExitCodes.BadInput, "")));
        Assert.That(run.Error, Does.Contain(expected));
    }
}
