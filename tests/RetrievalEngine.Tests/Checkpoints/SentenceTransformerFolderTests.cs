using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class SentenceTransformerFolderTests
{
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [TestCase("goldens/real/model", null)]
    [TestCase("goldens/real/older-layout", 256)]
    public void Find_BothLayouts_OfTheSameModel(string golden, int? length) => Assert.That(
        SentenceTransformerFolder.Find(SharedFolder.Require(golden)),
        Is.EqualTo(new SentenceTransformerFolder(Pooling.Mean, true, length, "", "", false)));

    [Test]
    public void Find_PlainCheckpoint_IsNone() => Assert.That(SentenceTransformerFolder.Find(_folder.Path), Is.Null);

    [Test]
    public void Write_ThenFind_GivesTheSame([Values] Pooling pooling, [Values] bool normalize)
    {
        string passage = pooling == Pooling.Cls ? "passage: " : "";
        SentenceTransformerFolder modules = new(pooling, normalize, 77, "query: ", passage, UsesDotProduct: !normalize);
        SentenceTransformerWriter.Write(_folder.Path, modules, 64);
        Assert.That(SentenceTransformerFolder.Find(_folder.Path), Is.EqualTo(modules));
    }

    [Test]
    public void Write_GivesTheFilesOfTheOlderLayout()
    {
        string golden = SharedFolder.Require("goldens/real/older-layout");
        SentenceTransformerWriter.Write(_folder.Path, SentenceTransformerFolder.Find(golden)!, 384);
        Assert.Multiple(() =>
        {
            Assert.That(JsonNode.DeepEquals(Json(_folder.Path, "modules.json"), Json(golden, "modules.json")));
            Assert.That(JsonNode.DeepEquals(Json(_folder.Path, "sentence_bert_config.json"), Json(golden, "sentence_bert_config.json")));
            Assert.That(JsonNode.DeepEquals(Json(_folder.Path, "1_Pooling/config.json"), Json(golden, "1_Pooling/config.json")));
        });
    }

    [TestCase("modules.json",
        """[{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},{"path":"2_Dense","type":"sentence_transformers.models.Dense"}]""",
        "Dense")]
    [TestCase("modules.json", """[{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"}]""", "no Pooling module")]
    [TestCase("modules.json", """[{"path":"../x","type":"a.Pooling"}]""", "no folder of the model")]
    [TestCase("modules.json", "{}", "array of modules")]
    [TestCase("1_Pooling/config.json", """{"pooling_mode_mean_sqrt_len_tokens":true}""", "pooling_mode_mean_sqrt_len_tokens")]
    [TestCase("1_Pooling/config.json", """{"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":true}""", "exactly one")]
    [TestCase("1_Pooling/config.json", """{"pooling_mode":"mean_sqrt_len_tokens"}""", "mean_sqrt_len_tokens")]
    [TestCase("1_Pooling/config.json", """{"pooling_mode":"mean","include_prompt":false}""", "include_prompt")]
    [TestCase("sentence_bert_config.json", """{"max_seq_length":0}""", "max_seq_length")]
    [TestCase("sentence_bert_config.json", """{"max_seq_length":10,"do_lower_case":true}""", "do_lower_case")]
    [TestCase("config_sentence_transformers.json", """{"similarity_fn_name":"euclidean"}""", "euclidean")]
    public void Find_WhatCannotBeDone_IsRefusedByName(string file, string json, string reason)
    {
        SentenceTransformerWriter.Write(_folder.Path, new SentenceTransformerFolder(Pooling.Mean, true, 77, "", "", false), 64);
        _folder.Write(file, json);
        Assert.That(() => SentenceTransformerFolder.Find(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains(reason));
    }

    [Test]
    public void Find_DamagedFiles_NeverThrowAnythingElse()
    {
        SentenceTransformerWriter.Write(_folder.Path, new SentenceTransformerFolder(Pooling.Last, true, 77, "q: ", "p: ", false), 64);
        foreach (string path in Directory.EnumerateFiles(_folder.Path, "*.json", SearchOption.AllDirectories).ToArray())
        {
            byte[] valid = File.ReadAllBytes(path);
            Fuzz.Run(valid, bytes =>
            {
                File.WriteAllBytes(path, bytes);
                SentenceTransformerFolder.Find(_folder.Path);
            }, rounds: 300);
            File.WriteAllBytes(path, valid);
        }
    }

    private static JsonNode Json(string folder, string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, name)))!;
}
