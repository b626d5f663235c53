using System.IO;
using System.IO.Compression;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.TestKit;
using static RetrievalEngine.Tests.Checkpoints.TorchBytes;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class TorchFileTests
{
    private static readonly byte[] s_storage = Floats(1, 2, 3, 4, 5, 6);
    private TempFolder _folder = null!;

    private string File => _folder.File("pytorch_model.bin");

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Open_ViewsParametersAndMetadata_AreRead()
    {
        string whole = Tensor(Float, "0", 6, 0, [2, 3], [3, 1]), part = Tensor(Float, "0", 6, 2, [1, 4], [99, 1]), half = Tensor("HalfStorage", "1", 2, 0, [2], [1]);
        string parameter = $"ctorch._utils\n_rebuild_parameter\n({whole}\u0088ccollections\nOrderedDict\n)RtR";
        string state = $"ccollections\nOrderedDict\n)R({Str("a")}{whole}{Str("b")}{part}{Str("c")}{half}{Str("d")}{parameter}u"
            + Dictionary(("_metadata", Dictionary(("version", "K\x01")))) + "b";
        System.IO.File.WriteAllBytes(File, Zip(Pickle(state), ("0", s_storage), ("1", [0, 0x3C, 0, 0xC0])));
        using TorchFile file = TorchFile.Open(File);
        Assert.Multiple(() =>
        {
            Assert.That(file.Tensors.Select(t => $"{t.Name} {t.StoredType} {t.Shape}"), Is.EqualTo(new[] { "a F32 [2, 3]", "b F32 [1, 4]", "c F16 [2]", "d F32 [2, 3]" }));
            Assert.That(file.ReadFloat32("a"), Is.EqualTo(new[] { 1, 2, 3, 4, 5, 6 }));
            Assert.That(file.ReadFloat32("b"), Is.EqualTo(new[] { 3, 4, 5, 6 }));
            Assert.That(file.ReadFloat32("c"), Is.EqualTo(new[] { 1, -2 }));
            Assert.That(file.ReadFloat32("d"), Is.EqualTo(file.ReadFloat32("a")));
        });
    }

    [Test]
    public void Open_FilesBeforeTorch16_AreRead()
    {
        byte[] pickle = Pickle(Dictionary(("x", Tensor(Float, "k1", 6, 0, [6], [1], old: true)), ("y", Tensor(Float, "k0", 1, 0, [1], [1], old: true))));
        System.IO.File.WriteAllBytes(File, Old(pickle, ("k0", Floats(7)), ("k1", s_storage)));
        using TorchFile file = TorchFile.Open(File);
        Assert.Multiple(() =>
        {
            Assert.That(file.ReadFloat32("x"), Is.EqualTo(new[] { 1, 2, 3, 4, 5, 6 }));
            Assert.That(file.ReadFloat32("y"), Is.EqualTo(new[] { 7 }));
        });
    }

    [TestCase("cos\nsystem\n", "the global os.system is not read")]
    [TestCase("ctorch\nload\n", "the global torch.load is not read")]
    [TestCase("\x8c\x02os\x8c\x06system\x93", "the global os.system is not read")]
    [TestCase("(ios\nsystem\n", "opcode INST is not read")]
    [TestCase("Pid\n", "opcode PERSID is not read")]
    [TestCase("]ccollections\nOrderedDict\n)\x81", "opcode NEWOBJ is not read")]
    [TestCase("\xff", "opcode FF is not read")]
    [TestCase("ctorch._utils\n_rebuild_tensor_v2\n)R", "given arguments that are not those of a tensor")]
    [TestCase("K\x01)R", "something that is no global is given arguments")]
    [TestCase("]q\0", "holds no dictionary of tensors")]
    [TestCase("h\x07", "memo 7 is not set")]
    [TestCase("N}b", "a dictionary is expected")]
    [TestCase("t", "MARK is missing")]
    [TestCase("(K\x01u", "a dictionary is given a key without a value")]
    [TestCase("0", "opcode POP is not read")]
    [TestCase("\x80\x05", "pickle protocol 5")]
    [TestCase("X\xff\xff\xff\xffx", "truncated")]
    [TestCase("X\x02\0\0\0\xff\xff", "not valid UTF-8")]
    [TestCase("u", "MARK is missing")]
    [TestCase("s", "the stack is empty")]
    public void Open_WhatTensorsDoNotNeed_IsRefusedByName(string opcodes, string reason)
    {
        System.IO.File.WriteAllBytes(File, Zip(Pickle(opcodes)));
        Assert.That(() => TorchFile.Open(File), Throws.TypeOf<InputException>().With.Message.Contains(reason).And.Message.StartsWith(File));
    }

    [TestCase("0", 6, 0, new[] { 3, 2 }, new[] { 1, 3 }, "transposed or strided view")]
    [TestCase("0", 6, 0, new[] { 7 }, new[] { 1 }, "ends beyond its storage 0 of 24 bytes")]
    [TestCase("0", 6, 5, new[] { 2 }, new[] { 1 }, "ends beyond its storage")]
    [TestCase("0", 6, 0, new[] { int.MaxValue, int.MaxValue, int.MaxValue }, new[] { 0, int.MaxValue, 1 }, "too large|strided view")]
    [TestCase("0", 6, 0, new[] { -1 }, new[] { 1 }, "not those of a tensor")]
    [TestCase("0", 6, 0, new[] { 1, 1, 1, 1, 1 }, new[] { 1, 1, 1, 1, 1 }, "5 dimensions")]
    [TestCase("2", 6, 0, new[] { 6 }, new[] { 1 }, "its storage 2 is missing")]
    public void Open_TensorsThatDoNotFit_AreNamed(string key, int count, int offset, int[] sizes, int[] strides, string reason)
    {
        System.IO.File.WriteAllBytes(File, Zip(Pickle(Dictionary(("w", Tensor(Float, key, count, offset, sizes, strides)))), ("0", s_storage)));
        Assert.That(() => TorchFile.Open(File), Throws.TypeOf<InputException>().With.Message.Matches(reason));
    }

    [Test]
    public void Open_CompressedArchive_IsRefused()
    {
        using (FileStream stream = System.IO.File.Create(File))
        using (ZipArchive zip = new(stream, ZipArchiveMode.Create))
        {
            using Stream entry = zip.CreateEntry("archive/data.pkl", CompressionLevel.Optimal).Open();
            entry.Write(new byte[1000]);
        }

        Assert.That(() => TorchFile.Open(File), Throws.TypeOf<InputException>().With.Message.Contains("archive/data.pkl is compressed"));
    }

    [Test]
    public void Open_NoArchive_IsRefused()
    {
        _folder.Write("pytorch_model.bin", "version https://git-lfs.github.com/spec/v1");
        Assert.That(() => TorchFile.Open(File), Throws.TypeOf<InputException>().With.Message.Contains("no file of torch.save"));
        _folder.Write("pytorch_model.bin", "");
        Assert.That(() => TorchFile.Open(File), Throws.TypeOf<InputException>());
    }

    [Test]
    public void Open_Damaged_NeverThrowsAnythingElse([Values] bool old)
    {
        string tensor = Tensor(Float, "0", 6, 0, [2, 3], [3, 1], old);
        byte[] pickle = Pickle(Dictionary(("a", tensor), ("b", $"h\0{tensor}"[2..])));
        byte[] valid = old ? Old(pickle, ("0", s_storage)) : Zip(pickle, ("0", s_storage));
        Fuzz.Run(valid, bytes =>
        {
            System.IO.File.WriteAllBytes(File, bytes);
            using TorchFile file = TorchFile.Open(File);
            foreach (StoredTensor stored in file.Tensors) file.Bytes(stored.Name, 0, (int)stored.Bytes);
        }, rounds: 3000);
    }

    [Test]
    public void Verify_AdapterOfTheReference_EqualsTheSafetensors()
    {
        using Adapter torch = Adapter.Load(SharedFolder.Require("goldens/variants/adapter-bin")), expected = Adapter.Load(SharedFolder.Require("goldens/training/llama2/adapter"));
        Assert.That(torch.Weights.Tensors.Select(t => t.Name), Is.EquivalentTo(expected.Weights.Tensors.Select(t => t.Name)));
        foreach (StoredTensor tensor in expected.Weights.Tensors)
            Assert.That(torch.Weights.ReadFloat32(tensor.Name), Is.EqualTo(expected.Weights.ReadFloat32(tensor.Name)), tensor.Name);
    }

    [Test]
    public void Open_WholeReferenceDamaged_NeverThrowsAnythingElse()
    {
        byte[] whole = System.IO.File.ReadAllBytes(Path.Combine(SharedFolder.Require("goldens/variants/adapter-bin"), "adapter_model.bin"));
        string path = _folder.File("adapter_model.bin");
        Fuzz.Run(whole, bytes =>
        {
            System.IO.File.WriteAllBytes(path, bytes);
            TorchFile.Open(path).Dispose();
        }, rounds: 200);
    }
}
