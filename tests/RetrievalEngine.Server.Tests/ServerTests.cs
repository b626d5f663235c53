using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Data;
using RetrievalEngine.Indexing;

namespace RetrievalEngine.Server.Tests;

/// <summary>The routes as their clients see them: the numbers of the library, the shapes of the peers, and a sentence with the right status where something is wrong.</summary>
internal sealed class ServerTests
{
    private const HttpStatusCode TooMany = HttpStatusCode.TooManyRequests, Invalid = HttpStatusCode.UnprocessableEntity, TooLarge = HttpStatusCode.RequestEntityTooLarge;
    private static readonly byte[] s_structural = [.. "{}[]\",:-9\\u"u8, 0, 0xFF, 0x80];
    private static readonly string[] s_texts = ["what is this", "a", "text of c2", "text of c2 and of d3, too"];
    private ServerFixture _server = null!;

    private int Dimensions => _server.Encoder.Contract.Dimensions;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await ServerFixture.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task Embeddings_AreThoseOfTheEncoder_BitByBit()
    {
        string inputs = JsonSerializer.Serialize(s_texts);
        float[] queries = _server.Encoder.EncodeQueries(s_texts), passages = _server.Encoder.EncodePassages([.. s_texts.Select(text => new Document("", null!, text))]);
        Assert.That(OpenAi(await _server.PostAsync("/v1/embeddings", $$"""{"input": {{inputs}}, "input_type": "query", "model": "other"}""")), Is.EqualTo(queries));
        Assert.That(OpenAi(await _server.PostAsync("/embeddings", $$"""{"input": {{inputs}}, "input_type": "search_document", "encoding_format": "base64"}""")), Is.EqualTo(passages));
        Assert.That(Rows(await _server.PostAsync("/embed", $$"""{"inputs": {{inputs}}, "prompt_name": "query"}""")), Is.EqualTo(queries));
        Assert.That(Rows(await _server.PostAsync("/embed", $$"""{"inputs": "{{s_texts[1]}}", "prompt_name": "passage"}""")), Is.EqualTo(passages[Dimensions..(2 * Dimensions)]));
        Assert.That(Rows(await _server.PostAsync("/embed", """{"inputs": "find a"}""")), Is.EqualTo(queries[Dimensions..(2 * Dimensions)]), "plain: the prefix is the client's");
    }

    [Test]
    public async Task TokenIds_AreTakenAsTheyAre()
    {
        int[] ids = _server.Encoder.Tokenizer.Encode("find what is this");
        float[] expected = _server.Encoder.EncodeQueries(["what is this"]);
        Assert.That(OpenAi(await _server.PostAsync("/v1/embeddings", $$"""{"input": [{{string.Join(", ", ids)}}]}""")), Is.EqualTo(expected));
        JsonElement two = await _server.PostAsync("/v1/embeddings", $$"""{"input": [[{{string.Join(", ", ids)}}], [2, 3]]}""");
        Assert.That(OpenAi(two)[..Dimensions], Is.EqualTo(expected));
        Assert.That(two.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), Is.EqualTo(ids.Length + 2));
    }

    [Test]
    public async Task Dimensions_AreCutFirst_ThenScaled()
    {
        float[] whole = OpenAi(await _server.PostAsync("/v1/embeddings", """{"input": "a b c"}""")), raw = Rows(await _server.PostAsync("/embed", """{"inputs": "a b c", "normalize": false}"""));
        float[] cut = OpenAi(await _server.PostAsync("/v1/embeddings", """{"input": "a b c", "dimensions": 5}"""));
        Assert.That(cut, Has.Length.EqualTo(5));
        Assert.That(Length(cut), Is.EqualTo(1).Within(1e-6));
        Assert.That(Length(raw), Is.Not.EqualTo(1).Within(1e-3));
        for (int i = 0; i < cut.Length; i++) Assert.That(cut[i], Is.EqualTo(raw[i] / Length(raw[..5])).Within(1e-6));
        for (int i = 0; i < raw.Length; i++) Assert.That(whole[i], Is.EqualTo(raw[i] / Length(raw)).Within(1e-6));
        Assert.That(Rows(await _server.PostAsync("/embed", """{"inputs": "a b c", "normalize": false, "dimensions": 5}""")), Is.EqualTo(raw[..5]));
    }

    [Test]
    public async Task ManyClients_GetWhatEachWouldGetAlone()
    {
        string[] texts = [.. Enumerable.Range(0, 60).Select(i => $"text {i} of {new string((char)('a' + i % 26), i % 12)}")];
        float[][] alone = [.. texts.Select(text => _server.Encoder.EncodeQueries([text]))];
        await Parallel.ForAsync(0, 240, new ParallelOptions { MaxDegreeOfParallelism = 24 }, async (i, _) =>
        {
            int first = i % 50, count = 1 + i % 10;
            string inputs = JsonSerializer.Serialize(texts.Skip(first).Take(count));
            float[] made = OpenAi(await _server.PostAsync("/v1/embeddings", $$"""{"input": {{inputs}}, "input_type": "query", "encoding_format": "{{(i % 2 == 0 ? "float" : "base64")}}"}"""));
            Assert.That(made, Is.EqualTo(alone.Skip(first).Take(count).SelectMany(vector => vector)));
        });
    }

    [Test]
    public async Task OverLongTexts_AreRefusedOrCut_AndSaidSo()
    {
        string text = new('x', 70), inputs = $"[\"a\", \"{string.Join(' ', text.ToCharArray())}\"]";
        await RefusedAsync("/v1/embeddings", $$"""{"input": {{inputs}}}""", Invalid, "input[1] has more than the 40 tokens");
        await RefusedAsync("/embed", $$"""{"inputs": {{inputs}}, "prompt_name": "query", "truncate": false}""", Invalid, "input[1] has more than the 30 tokens");
        await RefusedAsync("/v1/embeddings", $$"""{"input": [[2, 3], [{{string.Join(", ", Enumerable.Repeat(2, 41))}}]]}""", Invalid, "input[1] has 41 tokens");
        await RefusedAsync("/rerank", $$"""{"query": "{{new string('x', 15_001)}}", "texts": ["a"]}""", Invalid, "a query of 15001 characters is far beyond the 60 tokens");
        await RefusedAsync("/tokenize", $$"""{"inputs": "{{new string('x', 1_048_577)}}"}""", TooLarge, "1048577 characters are more than");
        await RefusedAsync("/rerank", $$"""{"query": "a", "texts": {{inputs}}, "truncate": false}""", Invalid, "1 of 2 texts have, with the query, more than the 60 tokens");
        using HttpResponseMessage response = await _server.SendAsync("/embed", $$"""{"inputs": {{inputs}}}""");
        Assert.That((response.StatusCode, Header(response, "x-truncated-inputs"), Header(response, "x-compute-tokens")), Is.EqualTo((HttpStatusCode.OK, "1", "43")));
        Assert.That(response.Headers.Select(header => header.Key), Is.SupersetOf((string[])["x-total-time", "x-queue-time", "x-inference-time", "x-tokenization-time"]));
        Assert.That(OpenAi(await _server.PostAsync("/v1/embeddings", $$"""{"input": {{inputs}}, "truncate": true}""")), Has.Length.EqualTo(2 * Dimensions));
    }

    [TestCase("/v1/embeddings", "", "not valid JSON")]
    [TestCase("/v1/embeddings", "[1]", "a JSON object is needed, not an array")]
    [TestCase("/v1/embeddings", "{\"input\": 1}", "\"input\" must be a string or an array, not a number")]
    [TestCase("/v1/embeddings", "{\"input\": []}", "\"input\" is empty")]
    [TestCase("/v1/embeddings", "{\"input\": [[]]}", "\"input[0]\" is empty")]
    [TestCase("/v1/embeddings", "{\"input\": [[1], 2]}", "\"input[1]\" must be an array of token ids, not a number")]
    [TestCase("/v1/embeddings", "{\"input\": [1, 2.5]}", "\"input[1]\" must be a token id, not 2.5")]
    [TestCase("/v1/embeddings", "{\"input\": [1, -2]}", "\"input[1]\" must be a token id, not -2")]
    [TestCase("/v1/embeddings", "{\"input\": \"\\ud800\"}", "\"input\" is not valid Unicode")]
    [TestCase("/v1/embeddings", "{\"input\": \"a\", \"encoding_format\": \"hex\"}", "must be \"float\" or \"base64\"")]
    [TestCase("/v1/embeddings", "{\"input\": \"a\", \"dimensions\": 0}", "\"dimensions\" must lie between 1 and")]
    [TestCase("/embed", "{\"inputs\": [\"a\", null]}", "\"inputs[1]\" must be a string, not null")]
    [TestCase("/embed", "{\"inputs\": \"a\", \"inputs\": \"b\"}", "not valid JSON")]
    [TestCase("/similarity", "{\"inputs\": {\"source_sentence\": \"a\", \"sentences\": []}}", "\"inputs.sentences\" is empty")]
    [TestCase("/tokenize", "{\"inputs\": [1]}", "must be a string or an array of strings")]
    [TestCase("/decode", "{\"ids\": \"a\"}", "must be an array of token ids")]
    [TestCase("/rerank", "{\"query\": \"a\"}", "\"documents\" is missing (or \"texts\")")]
    [TestCase("/rerank", "{\"texts\": [\"a\"]}", "\"query\" is missing")]
    [TestCase("/rerank", "{\"query\": \"a\", \"documents\": [{\"body\": \"b\"}]}", "\"documents[0].text\" is missing")]
    [TestCase("/rerank", "{\"query\": \"a\", \"texts\": []}", "\"texts\" is empty")]
    [TestCase("/search", "{\"query\": \"a\", \"queries\": [\"a\"]}", "give either \"query\" or \"queries\"")]
    [TestCase("/search", "{\"query\": \"a\", \"depth\": 0}", "\"depth\" must lie between 1 and")]
    public async Task MalformedRequests_AreRefusedInASentence(string path, string body, string message) =>
        await RefusedAsync(path, body, HttpStatusCode.BadRequest, message);

    [TestCase("/v1/embeddings", "{\"input\": \"a\", \"model\": \"gpt\"}", HttpStatusCode.NotFound, "no model \"gpt\" is served here; there is \"tiny\", \"other\"")]
    [TestCase("/v1/embeddings", "{\"input\": \"a\", \"dimensions\": 17}", Invalid, "dimensions must lie between 1 and 16, not 17")]
    [TestCase("/v1/embeddings", "{\"input\": [5, 1000]}", Invalid, "token id 1000")]
    [TestCase("/v1/embeddings", "{\"input\": \"a\", \"input_type\": \"poem\"}", Invalid, "\"poem\" is not known")]
    [TestCase("/embed", "{\"inputs\": \"a\", \"truncation_direction\": \"Left\"}", Invalid, "cut on the right")]
    [TestCase("/v1/rerank", "{\"query\": \"a\", \"documents\": [\"b\"], \"model\": \"tiny\"}", HttpStatusCode.NotFound, "there is \"cross\"")]
    [TestCase("/search", "{\"query\": \"a\", \"rerank\": true, \"rerank_depth\": 70000}", TooLarge, "70000 documents for each of 1 queries are more than the 65536 pairs")]
    [TestCase("/search", "{\"query\": \"a\", \"rerank_depth\": 5}", Invalid, "goes with \"rerank\"")]
    [TestCase("/nowhere", "{}", HttpStatusCode.NotFound, "no route POST /nowhere")]
    public async Task WhatCannotBeDone_IsRefusedInASentence(string path, string body, HttpStatusCode status, string message) => await RefusedAsync(path, body, status, message);

    [Test]
    public async Task DamagedBodies_NeverBreakTheServer()
    {
        string[] valid = ["""{"input": ["a", "text"], "encoding_format": "base64", "dimensions": 4}""", """{"query": "a", "documents": [{"text": "b"}, {"text": "c"}], "top_n": 1}""", """{"queries": ["a"], "depth": 3, "filter": ["d1"]}"""];
        string[] paths = ["/v1/embeddings", "/v1/rerank", "/search"];
        Random random = new(1);
        int refused = 0;
        for (int round = 0; round < 300; round++)
        {
            byte[] body = System.Text.Encoding.UTF8.GetBytes(valid[round % 3]);
            for (int change = random.Next(1, 4); change > 0; change--) body[random.Next(body.Length)] = s_structural[random.Next(s_structural.Length)];
            using ByteArrayContent content = new(body);
            using HttpResponseMessage response = await _server.Client.PostAsync(new Uri(paths[round % 3], UriKind.Relative), content);
            Assert.That((int)response.StatusCode, Is.LessThan(500), System.Text.Encoding.Latin1.GetString(body));
            refused += response.IsSuccessStatusCode ? 0 : 1;
        }

        Assert.That(refused, Is.GreaterThan(100));
    }

    [Test]
    public async Task Similarity_TokenizeAndDecode()
    {
        float[] vectors = Rows(await _server.PostAsync("/embed", """{"inputs": ["a b", "a b", "q r s"]}"""));
        JsonElement similarities = await _server.PostAsync("/similarity", """{"inputs": {"source_sentence": "a b", "sentences": ["a b", "q r s"]}}""");
        Assert.That(similarities[0].GetSingle(), Is.EqualTo(1).Within(1e-6));
        Assert.That(similarities[1].GetSingle(), Is.EqualTo(vectors[..Dimensions].Zip(vectors[(2 * Dimensions)..], (a, b) => a * b).Sum()).Within(1e-6));

        JsonElement tokens = (await _server.PostAsync("/tokenize", """{"inputs": ["a🙂 [SEP] b"]}"""))[0];
        Assert.That(tokens.EnumerateArray().Select(token => token.GetProperty("text").GetString()), Is.EqualTo((string[])["[CLS]", "a🙂", "[SEP]", "b", "[SEP]"]).Or.EqualTo((string[])["[CLS]", "a", "🙂", "[SEP]", "b", "[SEP]"]));
        Assert.That(tokens.EnumerateArray().Select(token => token.GetProperty("special").GetBoolean()).ToArray(), Has.ItemAt(0).True.And.ItemAt(1).False);
        Assert.That(tokens.EnumerateArray().Select(token => token.GetProperty("start").ValueKind).First(), Is.EqualTo(JsonValueKind.Null));
        JsonElement query = (await _server.PostAsync("/tokenize", """{"inputs": "b", "prompt_name": "query", "add_special_tokens": false}"""))[0];
        Assert.That(string.Concat(query.EnumerateArray().Select(token => token.GetProperty("text").GetString())), Is.EqualTo("findb"));
        int[] ids = [.. query.EnumerateArray().Select(token => token.GetProperty("id").GetInt32())];
        Assert.That((await _server.PostAsync("/decode", $$"""{"ids": [{{string.Join(", ", ids)}}]}"""))[0].GetString(), Is.EqualTo("find b"));
        Assert.That((await _server.PostAsync("/decode", """{"ids": [[2, 3], [4]], "skip_special_tokens": false}"""))[0].GetString(), Is.EqualTo("[CLS] [SEP]"));
    }

    [Test]
    public async Task Rerank_GivesTheScoresOfTheReranker_InBothDialects()
    {
        string[] texts = ["text of a", "b", "c and d", "b"];
        float[] scores = _server.Reranker.Score("what", [.. texts.Select(text => new Document("", "", text))]);
        int[] order = [.. Enumerable.Range(0, 4).OrderByDescending(i => scores[i])];
        string inputs = JsonSerializer.Serialize(texts);
        JsonElement tei = await _server.PostAsync("/rerank", $$"""{"query": "what", "texts": {{inputs}}, "raw_scores": true, "return_text": true}""");
        Assert.That(tei.EnumerateArray().Select(hit => (hit.GetProperty("index").GetInt32(), hit.GetProperty("score").GetSingle(), hit.GetProperty("text").GetString())),
            Is.EqualTo(order.Select(i => (i, scores[i], texts[i]))));
        JsonElement probability = await _server.PostAsync("/rerank", $$"""{"query": "what", "texts": {{inputs}}}""");
        Assert.That(probability[0].GetProperty("score").GetDouble(), Is.EqualTo(1 / (1 + Math.Exp(-scores[order[0]]))).Within(1e-6));
        JsonElement jina = await _server.PostAsync("/v1/rerank", $$"""{"model": "cross", "query": "what", "documents": {{inputs}}, "top_n": 2, "return_documents": true}""");
        Assert.That(jina.GetProperty("results").EnumerateArray().Select(hit => (hit.GetProperty("index").GetInt32(), hit.GetProperty("document").GetProperty("text").GetString())),
            Is.EqualTo(order.Take(2).Select(i => (i, texts[i]))));
        Assert.That(jina.GetProperty("usage").GetProperty("total_tokens").GetInt32(), Is.GreaterThan(20));
        JsonElement cohere = await _server.PostAsync("/v2/rerank", """{"query": "what", "documents": [{"text": "b"}, {"text": "text of a"}]}""");
        Assert.That(cohere.GetProperty("results").GetArrayLength(), Is.EqualTo(2));
    }

    [Test]
    public async Task Search_FindsWhatTheIndexFinds()
    {
        string[] queries = ["text of c2", "anything"];
        RankedQuery[] expected = [.. _server.Index.Rank(queries, _server.Encoder.EncodeQueries(queries), 7)];
        JsonElement results = (await _server.PostAsync("/search", $$"""{"queries": {{JsonSerializer.Serialize(queries)}}, "depth": 7}""")).GetProperty("results");
        for (int q = 0; q < 2; q++)
        {
            Assert.That(Hits(results[q]), Is.EqualTo(expected[q].Hits.Select(hit => (hit.DocId, hit.Score))));
            Assert.That(results[q].GetProperty("query").GetString(), Is.EqualTo(queries[q]));
        }

        JsonElement text = (await _server.PostAsync("/search", """{"query": "text of c2", "depth": 1, "return_text": true}""")).GetProperty("results")[0].GetProperty("hits")[0];
        int number = int.Parse(text.GetProperty("id").GetString()![1..], System.Globalization.CultureInfo.InvariantCulture);
        Assert.That((text.GetProperty("title").GetString(), text.GetProperty("text").GetString()), Is.EqualTo(($"t{number}", $"text of {(char)('a' + number % 26)}{number}")));
        JsonElement some = (await _server.PostAsync("/search", """{"query": "text of c2", "filter": ["d3", 4, "d5"]}""")).GetProperty("results")[0];
        Assert.That(Hits(some).Select(hit => hit.Item1), Is.EquivalentTo((string[])["d3", "d5"]));
        float least = expected[0].Hits[2].Score;
        JsonElement good = (await _server.PostAsync("/search", $$"""{"query": "text of c2", "score_threshold": {{least.ToString("R", System.Globalization.CultureInfo.InvariantCulture)}}}""")).GetProperty("results")[0];
        Assert.That(Hits(good), Is.EqualTo(expected[0].Hits.Take(3).Select(hit => (hit.DocId, hit.Score))));
    }

    [Test]
    public async Task Search_Reranks_TheBestOfTheIndex()
    {
        string[] queries = ["text of c2", "anything", "d 3"];
        JsonElement results = (await _server.PostAsync("/search", $$"""{"queries": {{JsonSerializer.Serialize(queries)}}, "depth": 3, "rerank": true, "rerank_depth": 12}""")).GetProperty("results");
        for (int q = 0; q < queries.Length; q++)
        {
            RankedQuery found = _server.Index.Rank([""], _server.Encoder.EncodeQueries([queries[q]]), 12).Single();
            Document[] documents = [.. found.Hits.Select(hit => int.Parse(hit.DocId[1..], System.Globalization.CultureInfo.InvariantCulture))
                .Select(i => new Document($"d{i}", $"t{i}", $"text of {(char)('a' + i % 26)}{i}"))];
            float[] scores = _server.Reranker.Score(queries[q], documents);
            Assert.That(Hits(results[q]), Is.EqualTo(Enumerable.Range(0, 12).OrderByDescending(i => scores[i]).Take(3).Select(i => (documents[i].Id, scores[i]))));
        }
    }

    [Test]
    public async Task Searches_AtTheSameTime_FindWhatEachFindsAlone()
    {
        RankedQuery[] alone = [.. Enumerable.Range(0, 40).Select(i => _server.Index.Rank([""], _server.Encoder.EncodeQueries([$"text {i}"]), 1 + i % 9).Single())];
        await Parallel.ForAsync(0, 160, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (n, _) =>
        {
            int i = n % 40;
            JsonElement result = (await _server.PostAsync("/search", $$"""{"query": "text {{i}}", "depth": {{1 + i % 9}}}""")).GetProperty("results")[0];
            Assert.That(Hits(result), Is.EqualTo(alone[i].Hits.Select(hit => (hit.DocId, hit.Score))));
        });
    }

    [Test]
    public async Task SearchesOfOnePass_GetAsMuchAsEachAskedFor()
    {
        using SemaphoreSlim device = new(0);
        Searcher searcher = new(_server.Index, device);
        await using (searcher.ConfigureAwait(false))
        {
            int[] depths = [9, 2, 5, 30];
            float[][] vectors = [.. depths.Select(depth => _server.Encoder.EncodeQueries([$"text {depth}"]))];
            Task<RankedQuery[]>[] searches = [.. depths.Select((depth, i) => searcher.SearchAsync([vectors[i]], depth, new RankOptions(), default))];
            device.Release();
            for (int i = 0; i < depths.Length; i++)
                Assert.That((await searches[i])[0].Hits, Is.EqualTo(_server.Index.Rank([""], vectors[i], depths[i]).Single().Hits));
        }
    }

    [Test]
    public async Task InfoModelsHealthAndMetrics()
    {
        await _server.PostAsync("/embed", """{"inputs": "a"}""");
        JsonElement info = JsonElement.Parse(await _server.Client.GetStringAsync(new Uri("/info", UriKind.Relative)));
        Assert.That((info.GetProperty("model_id").GetString(), info.GetProperty("index").GetProperty("rows").GetInt32()), Is.EqualTo(("tiny", 30)));
        Assert.That(info.GetProperty("model_type").GetProperty("embedding").GetProperty("query_prefix").GetString(), Is.EqualTo("find "));
        JsonElement models = JsonElement.Parse(await _server.Client.GetStringAsync(new Uri("/v1/models", UriKind.Relative)));
        Assert.That(models.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()), Is.EqualTo((string[])["tiny", "other", "cross"]));
        foreach (string path in (string[])["/health", "/health/live", "/health/ready"])
            Assert.That(await _server.Client.GetStringAsync(new Uri(path, UriKind.Relative)), Is.EqualTo("""{"status":"ok"}"""));
        string metrics = await _server.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        Assert.That(metrics, Does.Match("(?m)^te_request_count\\{method=\"embed\"\\} [1-9]").And.Match("(?m)^te_request_duration_count [1-9]").And.Match("(?m)^te_batch_next_tokens_bucket\\{le=\"\\+Inf\"\\} [1-9]"));
    }

    [Test]
    public async Task Keys_AreAskedForEverywhereButForHealth()
    {
        await using ServerFixture server = await ServerFixture.StartAsync(new ServerOptions { ApiKeys = ["one", "two"] });
        foreach (string key in (string[])["", "three", "one two", "on"])
        {
            server.Client.DefaultRequestHeaders.Authorization = key.Length == 0 ? null : new AuthenticationHeaderValue("Bearer", key);
            foreach (string path in (string[])["/v1/embeddings", "/embed", "/rerank", "/search", "/tokenize"])
                Assert.That((await server.PostAsync(path, "{", HttpStatusCode.Unauthorized)).ToString(), Does.Contain("a key is needed"));
            foreach (string path in (string[])["/info", "/metrics", "/v1/models"])
            {
                using HttpResponseMessage response = await server.Client.GetAsync(new Uri(path, UriKind.Relative));
                Assert.That((response.StatusCode, response.Headers.WwwAuthenticate.ToString()), Is.EqualTo((HttpStatusCode.Unauthorized, "Bearer")));
            }

            Assert.That(await server.Client.GetStringAsync(new Uri("/health", UriKind.Relative)), Does.Contain("ok"));
        }

        foreach (string key in (string[])["one", "two"])
        {
            server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
            await server.PostAsync("/embed", """{"inputs": "a"}""");
        }
    }

    [Test]
    public async Task TooMuch_IsRefusedWithTheLimit()
    {
        await using ServerFixture server = await ServerFixture.StartAsync(new ServerOptions { MaxClientBatchSize = 2, MaxBodyBytes = 1000, DefaultRole = TextRole.Query, AutoTruncate = false }, hasReranker: false, hasCorpus: false);
        await RefusedAsync("/embed", """{"inputs": ["a", "b", "c"]}""", TooLarge, "3 inputs are more than the 2", server);
        await RefusedAsync("/search", """{"queries": ["a", "b", "c"]}""", TooLarge, "3 queries are more than the 2", server);
        await RefusedAsync("/embed", $$"""{"inputs": "{{new string('a', 1000)}}"}""", TooLarge, "more than the 1000 bytes", server);
        await RefusedAsync("/embed", $$"""{"inputs": "{{string.Join(' ', Enumerable.Repeat('a', 50))}}"}""", Invalid, "more than the 30 tokens", server);
        await RefusedAsync("/rerank", """{"query": "a", "texts": ["b"]}""", HttpStatusCode.NotFound, "no route", server);
        await RefusedAsync("/search", """{"query": "a", "rerank": true}""", Invalid, "needs a server with --reranker", server);
        await RefusedAsync("/search", """{"query": "a", "return_text": true}""", Invalid, "needs a server with --corpus", server);
        Assert.That(Rows(await server.PostAsync("/embed", """{"inputs": "a"}""")), Is.EqualTo(server.Encoder.EncodeQueries(["a"])), "the default role");
        await using ServerFixture busy = await ServerFixture.StartAsync(new ServerOptions { MaxConcurrentRequests = 0 });
        using HttpResponseMessage response = await busy.SendAsync("/embed", """{"inputs": "a"}""");
        Assert.That((response.StatusCode, response.Headers.RetryAfter!.ToString()), Is.EqualTo((TooMany, "1")));
    }

    [Test]
    public async Task Stopping_AnswersWhatIsUnderWay()
    {
        using ManualResetEventSlim reads = new(), mayRead = new();
        await using ServerFixture server = await ServerFixture.StartAsync(documents: id =>
        {
            reads.Set();
            mayRead.Wait();
            return new Document(id, "", "text");
        });
        Task<HttpResponseMessage> sent = server.SendAsync("/search", """{"query": "a", "depth": 1, "return_text": true}""");
        Assert.That(reads.Wait(TimeSpan.FromSeconds(30)), "the request is under way");
        Task stopped = server.StopAsync();
        await Task.Delay(50);
        Assert.That((stopped.IsCompleted, sent.IsCompleted), Is.EqualTo((false, false)));
        mayRead.Set();
        using (HttpResponseMessage response = await sent)
        {
            Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
            Assert.That(await response.Content.ReadAsStringAsync(), Does.Contain("\"text\":\"text\""));
        }

        await stopped;
        Assert.That(async () => await server.SendAsync("/embed", """{"inputs": "a"}"""), Throws.InstanceOf<HttpRequestException>());
    }

    [Test]
    public void AnAddressThatCannotBeHad_IsNamed()
    {
        ServedModels models = new() { Names = ["m"], Device = "CPU", Encoder = _server.Encoder };
        int port = new Uri(_server.Url).Port;
        Assert.That(async () => await RetrievalServer.StartAsync(models, new ServerOptions { Port = port }), Throws.TypeOf<InputException>().With.Message.StartsWith($"127.0.0.1:{port} cannot be listened on: "));
        Assert.That(async () => await RetrievalServer.StartAsync(models, new ServerOptions { Host = "203.0.113.1", Port = 0 }), Throws.TypeOf<InputException>().With.Message.StartsWith("203.0.113.1:0 cannot be listened on: "));
        Assert.That(async () => await RetrievalServer.StartAsync(models, new ServerOptions { Host = "here" }), Throws.TypeOf<InputException>().With.Message.StartsWith("here is not an IP address"));
    }

    private async Task RefusedAsync(string path, string body, HttpStatusCode status, string message, ServerFixture? server = null)
    {
        JsonElement error = (await (server ?? _server).PostAsync(path, body, status)).GetProperty("error");
        string text = error.ValueKind == JsonValueKind.String ? error.GetString()! : error.GetProperty("message").GetString()!;
        Assert.That(text, Does.Contain(message));
        Assert.That(text.Split('\n'), Has.Length.EqualTo(1));
    }

    private static string Header(HttpResponseMessage response, string name) => response.Headers.GetValues(name).Single();

    private static double Length(float[] vector) => Math.Sqrt(vector.Sum(x => (double)x * x));

    private static IEnumerable<(string, float)> Hits(JsonElement result) =>
        result.GetProperty("hits").EnumerateArray().Select(hit => (hit.GetProperty("id").GetString()!, hit.GetProperty("score").GetSingle()));

    private static float[] Rows(JsonElement rows) => [.. rows.EnumerateArray().SelectMany(row => row.EnumerateArray()).Select(value => value.GetSingle())];

    private static float[] OpenAi(JsonElement answer)
    {
        JsonElement data = answer.GetProperty("data");
        Assert.That(data.EnumerateArray().Select(entry => entry.GetProperty("index").GetInt32()), Is.EqualTo(Enumerable.Range(0, data.GetArrayLength())));
        return [.. data.EnumerateArray().Select(entry => entry.GetProperty("embedding")).SelectMany(vector => vector.ValueKind == JsonValueKind.String
            ? MemoryMarshal.Cast<byte, float>(vector.GetBytesFromBase64()).ToArray() : [.. vector.EnumerateArray().Select(value => value.GetSingle())])];
    }
}
