using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Indexing;
using RetrievalEngine.Models;
using RetrievalEngine.Reranking;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;

namespace RetrievalEngine.Server.Tests;

/// <summary>A server with tiny models, an index of 30 documents and their texts, on a port of its own.</summary>
internal sealed class ServerFixture : IAsyncDisposable
{
    private readonly string _folder = Path.Combine(TestContext.CurrentContext.WorkDirectory, "tmp-" + Guid.NewGuid().ToString("N"));
    private readonly CpuBackend _backend = new(2);
    private readonly Transformer _rerankerModel;
    private readonly DocumentLookup _documents;
    private RetrievalServer _server = null!;

    private ServerFixture()
    {
        Directory.CreateDirectory(_folder);
        string model = TinyModel.WriteEncoder(Path.Combine(_folder, "model")), corpus = Path.Combine(_folder, "corpus.jsonl");
        ContractOverrides overrides = new() { QueryPrefix = "find ", PassagePrefix = "this ", QueryMaxLength = 30, PassageMaxLength = 40 };
        File.WriteAllText(corpus, string.Concat(Enumerable.Range(0, 30).Select(i => $$"""{"_id": "d{{i}}", "title": "t{{i}}", "text": "text of {{(char)('a' + i % 26)}}{{i}}"}""" + "\n")));
        CorpusEncoder.Run(_backend, new EncodeOptions { Model = model, Input = corpus, Output = Path.Combine(_folder, "embeddings"), Overrides = overrides });
        IndexBuilder.Build([Path.Combine(_folder, "embeddings")], Path.Combine(_folder, "index"));
        Index = DenseIndex.Open(_backend, Path.Combine(_folder, "index"));
        Encoder = Index.LoadEncoder(batchTokens: 64);
        _documents = DocumentLookup.Open(corpus);
        _rerankerModel = Transformer.LoadReranker(_backend, model, seed: 1);
        Reranker = CrossEncoder.Create(_backend, Tokenizer.Load(model), _rerankerModel, RerankContractResolver.For(model, null, new RerankOverrides { MaxLength = 60 }), 128);
    }

    public TextEncoder Encoder { get; }

    public CrossEncoder Reranker { get; }

    public DenseIndex Index { get; }

    public HttpClient Client { get; private set; } = null!;

    public string Url => _server.Url;

    public static async Task<ServerFixture> StartAsync(ServerOptions? options = null, bool hasReranker = true, bool hasCorpus = true,
        Func<string, Document?>? documents = null)
    {
        ServerFixture fixture = new();
        ServedModels models = new()
        {
            Names = ["tiny", "other"],
            RerankerNames = ["cross"],
            Device = "CPU",
            Encoder = fixture.Encoder,
            Reranker = hasReranker ? fixture.Reranker : null,
            Index = fixture.Index,
            Documents = hasCorpus ? documents ?? fixture._documents.Find : null,
        };
        fixture._server = await RetrievalServer.StartAsync(models, (options ?? new ServerOptions()) with { Port = 0 });
        fixture.Client = new HttpClient { BaseAddress = new Uri(fixture._server.Url) };
        return fixture;
    }

    /// <summary>Posts JSON, which must be answered with <paramref name="status"/>.</summary>
    public async Task<JsonElement> PostAsync(string path, string json, HttpStatusCode status = HttpStatusCode.OK)
    {
        using HttpResponseMessage response = await SendAsync(path, json);
        string text = await response.Content.ReadAsStringAsync();
        Assert.That(response.StatusCode, Is.EqualTo(status), text);
        Assert.That(response.Content.Headers.ContentType!.MediaType, Is.EqualTo("application/json"));
        return JsonElement.Parse(text);
    }

    public async Task<HttpResponseMessage> SendAsync(string path, string json)
    {
        using StringContent content = new(json, System.Text.Encoding.UTF8, "application/json");
        return await Client.PostAsync(new Uri(path, UriKind.Relative), content);
    }

    public async Task StopAsync() => await _server.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Client.Dispose();
        Reranker.Dispose();
        _rerankerModel.Dispose();
        Encoder.Dispose();
        Index.Dispose();
        _documents.Dispose();
        _backend.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
