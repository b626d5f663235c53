using System.IO;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Encoding;

internal sealed class ContractResolverTests
{
    [Test]
    public void For_PlainDecoder_TakesTheLastTokenWithEos()
    {
        using TempFolder folder = new();
        EncodingContract contract = EncodingContract.For(TinyModel.WriteDecoder(folder.File("m")));
        Assert.That((contract.Pooling, contract.AppendEosToken, contract.EosTokenId, contract.Normalize),
            Is.EqualTo((Pooling.Last, true, (int?)TinyModel.Eos, true)));
        Assert.That((contract.Dimensions, contract.QueryMaxLength, contract.PassageMaxLength), Is.EqualTo((16, 64, 64)));
    }

    [Test]
    public void For_PlainEncoder_TakesTheMean()
    {
        using TempFolder folder = new();
        EncodingContract contract = EncodingContract.For(TinyModel.WriteEncoder(folder.File("m")));
        Assert.That((contract.Pooling, contract.AppendEosToken, contract.EosTokenId, contract.Normalize),
            Is.EqualTo((Pooling.Mean, false, (int?)null, true)));
    }

    [TestCase("""{"pooling_mode": "cls"}""", Pooling.Cls)]
    [TestCase("""{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false}""", Pooling.Mean)]
    [TestCase("""{"pooling_mode_lasttoken": true, "include_prompt": true}""", Pooling.Last)]
    public void For_SentenceTransformersFolder_DoesWhatItSays(string pooling, Pooling expected)
    {
        using TempFolder folder = new();
        TinyModel.WriteDecoder(folder.File("m"));
        WriteModules(folder, pooling);
        folder.Write("m/sentence_bert_config.json", """{"max_seq_length": 33, "do_lower_case": false}""");
        folder.Write("m/config_sentence_transformers.json",
            """{"prompts": {"query": "Q: ", "passage": "P: "}, "default_prompt_name": null, "similarity_fn_name": "dot"}""");
        EncodingContract contract = EncodingContract.For(folder.File("m"));
        Assert.That((contract.Pooling, contract.Normalize, contract.AppendEosToken), Is.EqualTo((expected, false, false)));
        Assert.That((contract.QueryPrefix, contract.PassagePrefix, contract.QueryMaxLength, contract.Similarity),
            Is.EqualTo(("Q: ", "P: ", 33, Similarity.Dot)));
    }

    [Test]
    public void For_ContractBesideTheAdapter_IsTaken_ForTheseWeightsOnly()
    {
        using TempFolder folder = new();
        string model = TinyModel.WriteDecoder(folder.File("m")), adapter = TinyModel.WriteAdapter(folder.File("adapter"), model);
        EncodingContract written =
            EncodingContract.For(model, adapter, new ContractOverrides { QueryPrefix = "query: ", PassageMaxLength = 20, Temperature = 0.02f });
        written.Save(adapter);
        Assert.That(EncodingContract.For(model, adapter), Is.EqualTo(written));
        Assert.That(EncodingContract.For(model).QueryPrefix, Is.Empty, "the adapter's contract is not the model's");
        Assert.That(EncodingContract.For(model, adapter, new ContractOverrides { QueryPrefix = "" }).QueryPrefix, Is.Empty);

        string other = TinyModel.WriteDecoder(folder.File("other"), seed: 2);
        Assert.That(() => EncodingContract.For(other, adapter), Throws.TypeOf<InputException>().With.Message.Contains("base weights hash is "));
    }

    [Test]
    public void For_WeightsHash_IsWhatSha256sumPrints()
    {
        using TempFolder folder = new();
        string model = TinyModel.WriteDecoder(folder.File("m"));
        byte[] hash = System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(Path.Combine(model, "model.safetensors")));
        Assert.That(EncodingContract.For(model).WeightsHash, Is.EqualTo(System.Convert.ToHexStringLower(hash)));
    }

    [Test]
    public void For_AppendEosWithoutAnEos_SaysWhatToDo()
    {
        using TempFolder folder = new();
        string model = TinyModel.WriteEncoder(folder.File("m"));
        Assert.That(() => EncodingContract.For(model, null, new ContractOverrides { AppendEosToken = true }),
            Throws.TypeOf<InputException>().With.Message.Contains("--append-eos-token false"));
    }

    private static void WriteModules(TempFolder folder, string pooling)
    {
        folder.Write("m/modules.json", """
            [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
            """);
        folder.Write("m/1_Pooling/config.json", pooling);
    }
}
