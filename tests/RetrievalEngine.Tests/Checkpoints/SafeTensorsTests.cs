using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class SafeTensorsTests
{
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Open_PublishedSamples_GiveTheirValues()
    {
        string samples = SharedFolder.Require("data/models/safetensors-tiny");
        using SafeTensorsFile ints = SafeTensorsFile.Open(Path.Combine(samples, "tensor-1d-int32.safetensors"));
        using SafeTensorsFile floats = SafeTensorsFile.Open(Path.Combine(samples, "tensor-3d-float32.safetensors"));
        using SafeTensorsFile doubles = SafeTensorsFile.Open(Path.Combine(samples, "tensor-2d-float64.safetensors"));
        Assert.Multiple(() =>
        {
            Assert.That(ints.ReadInt64("embedding"), Is.EqualTo(new long[] { 1, 2, 3 }));
            Assert.That(floats.ReadFloat32("embedding"), Is.EqualTo(new float[] { 22, 23, 24, 11, 12, 13, 2, 3, 4, 1, 2, 3 }));
            Assert.That(floats.Find("embedding").Shape, Is.EqualTo(new Shape(2, 2, 3)));
            Assert.That(() => doubles.ReadFloat32("embedding"), Throws.TypeOf<InputException>().With.Message.Contains("\"embedding\" has type F64"));
            Assert.That(() => ints.ReadFloat32("embedding"), Throws.TypeOf<InputException>());
        });
    }

    [Test]
    public void Write_ThenOpen_GivesTheSame([Values(DType.F32, DType.F16, DType.BF16)] DType dtype)
    {
        float[] values = [1, -2.5f, 0, 3.140625f, float.PositiveInfinity, 65504, -0f];
        string path = _folder.File("a.safetensors");
        TensorSource[] tensors =
        [
            TensorSource.FromFloat32("b.weight", new Shape(7, 1), values, dtype),
            TensorSource.FromFloat32("ä", new Shape(0, 3), Array.Empty<float>(), dtype),
            TensorSource.FromBytes("ids", DType.I64, new Shape(2), new byte[16]),
            TensorSource.FromFloat32("scalar", new Shape([]), new float[] { 4 }, dtype),
        ];
        SafeTensorsWriter.Write(path, tensors, new Dictionary<string, string> { ["format"] = "pt" });
        byte[] first = File.ReadAllBytes(path);
        SafeTensorsWriter.Write(path, tensors.Reverse().ToArray(), new Dictionary<string, string> { ["format"] = "pt" });
        using SafeTensorsFile file = SafeTensorsFile.Open(path);
        using CpuBackend backend = new(1);
        Tensor loaded = file.Load(backend, "b.weight");
        Assert.Multiple(() =>
        {
            Assert.That(File.ReadAllBytes(path), Is.EqualTo(first), "the order of the arguments must not matter");
            Assert.That((BinaryPrimitives.ReadInt64LittleEndian(first) + 8) % 8, Is.Zero);
            Assert.That(file.Tensors.Select(t => t.Name), Is.EqualTo(new[] { "ids", "b.weight", "scalar", "ä" }));
            Assert.That(file.Tensors.First().Offset % 8, Is.Zero);
            Assert.That(file.Metadata["format"], Is.EqualTo("pt"));
            Assert.That(file.ReadFloat32("b.weight"),
                Is.EqualTo(dtype == DType.BF16 ? [1, -2.5f, 0, 3.140625f, float.PositiveInfinity, 65536, -0f] : values));
            Assert.That(file.ReadFloat32("scalar"), Is.EqualTo(new float[] { 4 }));
            Assert.That(loaded.Shape, Is.EqualTo(new Shape(7, 1)));
            Assert.That(loaded.DType, Is.EqualTo(dtype));
            Assert.That(loaded.AsSpan<byte>().ToArray(), Is.EqualTo(file.Bytes("b.weight", 0, 7 * dtype.Size()).ToArray()));
        });
        loaded.Memory!.Dispose();
    }

    [Test]
    public void Write_AtLines_PutsWholeLinesFirst()
    {
        string path = _folder.File("a.safetensors");
        byte[] codes = [.. Enumerable.Range(0, 192).Select(i => (byte)i)];
        float[] rows = [.. Enumerable.Range(0, 32).Select(i => (float)i)];
        TensorSource[] tensors =
        [
            TensorSource.FromFloat32("a", new Shape(3), new float[] { 1, 2, 3 }),
            TensorSource.FromBytes("codes", DType.I8, new Shape(3, 64), codes),
            TensorSource.FromBytes("none", DType.I64, new Shape(0), Array.Empty<byte>()),
            TensorSource.FromFloat32("rows", new Shape(2, 16), rows),
        ];
        SafeTensorsWriter.Write(path, tensors, atLines: true);
        using SafeTensorsFile file = SafeTensorsFile.Open(path);
        Assert.That(file.Tensors.Select(t => (t.Name, t.Offset % 64)), Is.EqualTo(new[] { ("none", 0L), ("rows", 0L), ("codes", 0L), ("a", 0L) }));
        Assert.That(file.ReadFloat32("a"), Is.EqualTo(new float[] { 1, 2, 3 }));
        Assert.That(file.ReadFloat32("rows"), Is.EqualTo(rows));
        Assert.That(file.Bytes("codes", 0, 192).ToArray(), Is.EqualTo(codes));
    }

    [Test]
    public void Write_BFloat16_RoundsToNearestEven()
    {
        uint[] written = [0x3F808000u, 0x3F818000u, 0x3F808001u, 0x3F807FFFu, 0x7F800001u, 0x7F7FFFFFu];
        float[] values = [.. written.Select(BitConverter.UInt32BitsToSingle)];
        string path = _folder.File("a.safetensors");
        SafeTensorsWriter.Write(path, [TensorSource.FromFloat32("x", new Shape(6), values, DType.BF16)]);
        using SafeTensorsFile file = SafeTensorsFile.Open(path);
        uint[] bits = [.. file.ReadFloat32("x").Select(BitConverter.SingleToUInt32Bits)];
        Assert.That(bits, Is.EqualTo(new[] { 0x3F800000u, 0x3F820000u, 0x3F810000u, 0x3F800000u, 0x7FC00000u, 0x7F800000u }));
    }

    [Test]
    public void Write_FromTensorAndFile_CopiesManyChunks()
    {
        using CpuBackend backend = new(1);
        using DeviceMemory memory = backend.Allocate(700_001 * 4);
        Tensor tensor = new(memory, 0, new Shape(700_001), DType.F32);
        Span<float> values = tensor.AsSpan<float>();
        for (int i = 0; i < values.Length; i++) values[i] = i - 300_000;
        string f32 = _folder.File("a.safetensors"), bf16 = _folder.File("b.safetensors");
        SafeTensorsWriter.Write(f32, [TensorSource.FromTensor("x", backend, tensor, DType.F32)]);
        using SafeTensorsFile wide = SafeTensorsFile.Open(f32);
        SafeTensorsWriter.Write(bf16, [TensorSource.FromFile("x", wide, "x", DType.F32), TensorSource.FromFile("y", wide, "x", DType.BF16)]);
        using SafeTensorsFile both = SafeTensorsFile.Open(bf16);
        float[] y = both.ReadFloat32("y");
        Assert.Multiple(() =>
        {
            Assert.That(wide.ReadFloat32("x").AsSpan().SequenceEqual(tensor.AsSpan<float>()), Is.True);
            Assert.That(both.ReadFloat32("x").AsSpan().SequenceEqual(tensor.AsSpan<float>()), Is.True);
            Assert.That(Enumerable.Range(0, y.Length).All(i => Math.Abs(y[i] - (i - 300_000)) <= Math.Abs(i - 300_000) / 256f), Is.True);
            Assert.That(y[300_001], Is.EqualTo(1f));
        });
    }

    [Test]
    public void Write_Fails_OldFileStays()
    {
        string path = _folder.File("a.safetensors");
        SafeTensorsWriter.Write(path, [TensorSource.FromFloat32("x", new Shape(1), new float[] { 1 })]);
        byte[] before = File.ReadAllBytes(path);
        TensorSource full = new("x", DType.F32, new Shape(1), stream =>
        {
            stream.Write([1, 2]);
            throw new IOException("No space left on device");
        });
        TensorSource lying = new("x", DType.F32, new Shape(2), stream => stream.Write([1, 2, 3, 4]));
        Assert.Multiple(() =>
        {
            Assert.That(() => SafeTensorsWriter.Write(path, [full]),
                Throws.TypeOf<InputException>().With.Message.Contains("cannot be written: No space left"));
            Assert.That(() => SafeTensorsWriter.Write(path, [lying]), Throws.InvalidOperationException);
            Assert.That(File.ReadAllBytes(path), Is.EqualTo(before));
            Assert.That(Directory.GetFiles(_folder.Path), Has.Length.EqualTo(1));
        });
    }

    [TestCase("", "truncated")]
    [TestCase("{", "not valid JSON")]
    [TestCase("[]", "must be a JSON object")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}""", "takes 4 bytes but")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", "4 bytes between the header and tensor \"a\"")]
    [TestCase("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "truncated: tensors reach to byte")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "4 bytes behind tensor \"a\" belong to nothing")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "behind its end")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", "whole numbers from 0 on")]
    [TestCase("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "whole numbers from 0 on")]
    [TestCase("""{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296,4294967296],"data_offsets":[0,0]}}""", "cannot be")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1,1,1,1,2],"data_offsets":[0,8]}}""", "more than 4 numbers")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}""", "more than 2 numbers")]
    [TestCase("""{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}""", "tensor \"a\" has the type \"Q4\"")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2]}}""", "\"data_offsets\" is missing")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "given twice")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "overlaps")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"format":1}}""", "metadata \"format\" must be a string")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} x""", "not valid JSON")]
    public void Open_BadHeader_IsRefused(string header, string reason)
    {
        string path = _folder.File("bad.safetensors");
        byte[] json = System.Text.Encoding.UTF8.GetBytes(header);
        byte[] bytes = header.Length == 0 ? [] : [.. BitConverter.GetBytes((long)json.Length), .. json, .. new byte[8]];
        File.WriteAllBytes(path, bytes);
        Assert.That(() => SafeTensorsFile.Open(path),
            Throws.TypeOf<InputException>().With.Message.Contains(reason).And.Message.Contains("bad.safetensors"));
    }

    [Test]
    public void Open_HeaderLongerThanFileOrFormat_IsRefused([Values(17L, 100_000_001L, -1L)] long length)
    {
        string path = _folder.File("bad.safetensors");
        File.WriteAllBytes(path, [.. BitConverter.GetBytes(length), .. "{}      "u8]);
        Assert.That(() => SafeTensorsFile.Open(path), Throws.TypeOf<InputException>());
    }

    [Test]
    public void Open_DamagedHeaders_NeverThrowAnythingElse()
    {
        string path = _folder.File("a.safetensors");
        SafeTensorsWriter.Write(path, [TensorSource.FromFloat32("a.weight", new Shape(3, 2), new float[6]),
            TensorSource.FromFloat32("b", new Shape(4), new float[4], DType.BF16)],
            new Dictionary<string, string> { ["format"] = "pt" });
        Fuzz.Run(File.ReadAllBytes(path), bytes =>
        {
            File.WriteAllBytes(path, bytes);
            using SafeTensorsFile file = SafeTensorsFile.Open(path);
            foreach (StoredTensor tensor in file.Tensors)
            {
                if (TensorTypes.ToDType(tensor.StoredType)?.IsFloat() == true) file.ReadFloat32(tensor.Name);
            }
        });
    }
}
