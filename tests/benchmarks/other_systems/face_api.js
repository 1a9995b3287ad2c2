// Computes the descriptors of @vladmandic/face-api for photos: node face_api.js PHOTOS.json OUT.json
//
// PHOTOS.json lists files of raw RGB bytes with their size; those with `chip` are chips of 150 x 150 that go
// to the network as they are. OUT.json has, for each file, the faces of each pair of a detector and landmarks.
const fs = require("fs");
const path = require("path");
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");

const folder = (name) => path.dirname(require.resolve(`${name}/package.json`));
const NETS = ["ssdMobilenetv1", "tinyFaceDetector", "faceLandmark68Net", "faceLandmark68TinyNet", "faceRecognitionNet"];

async function faces(image, options, tinyLandmarks) {
  const found = await faceapi.detectAllFaces(image, options).withFaceLandmarks(tinyLandmarks).withFaceDescriptors();
  return found.map(({ detection: { box }, descriptor }) => ({
    box: [box.left, box.top, box.right, box.bottom],
    encoding: Array.from(descriptor),
  }));
}

async function described({ file, width, height, chip }) {
  const image = tf.tensor3d(new Uint8Array(fs.readFileSync(file)), [height, width, 3], "int32");
  const found = chip
    ? { chip: [{ box: [0, 0, 0, 0], encoding: Array.from(await faceapi.nets.faceRecognitionNet.computeFaceDescriptor(image)) }] }
    : {
        ssd: await faces(image, new faceapi.SsdMobilenetv1Options(), false),
        tiny: await faces(image, new faceapi.TinyFaceDetectorOptions(), true),
      };
  image.dispose();
  return found;
}

async function main([photos, out]) {
  wasm.setWasmPaths(`${folder("@tensorflow/tfjs-backend-wasm")}/dist/`);
  await tf.setBackend("wasm");
  await tf.ready();
  for (const name of NETS) await faceapi.nets[name].loadFromDisk(`${folder("@vladmandic/face-api")}/model`);
  const answers = {};
  for (const photo of JSON.parse(fs.readFileSync(photos))) answers[photo.file] = await described(photo);
  fs.writeFileSync(out, JSON.stringify(answers));
}

main(process.argv.slice(2));
